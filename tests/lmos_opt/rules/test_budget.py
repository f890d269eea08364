"""`budget:SECONDS`."""

from __future__ import annotations

import pytest

from lmos_opt import Front, InfeasibleError, InputError
from lmos_opt.rules.budget import RULE
from tests.lmos_opt.documents import front_data
from tests.lmos_opt.rules.points import changes_at, choice


@pytest.mark.parametrize(("argument", "chosen"), [("1", 0), ("1.999", 0), ("2", 1), ("4000ms", 2), ("99", 3)])
def test_the_most_memory_within_the_budget(argument, chosen):
    assert choice(RULE, argument=argument) == chosen


def test_no_point_within_the_budget():
    with pytest.raises(InfeasibleError, match=r"latency budget 0\.5"):
        choice(RULE, argument="0.5")


def test_an_argument_that_is_no_time():
    with pytest.raises(InputError, match="budget"):
        choice(RULE, argument="soon")


def test_it_changes_where_a_points_latency_is_the_budget():
    """4s, 1 + 2s and 3 are 2 at s = 1/2, 1/2 and never."""
    assert [float(s) for s in changes_at(RULE, 0.1, 0, "2")] == [0.5]
    assert [float(s) for s in changes_at(RULE, 0.1, 0, "1.5")] == [0.25, 0.375]


def test_without_memory_it_is_the_best_of_the_other_objective():
    points = [{"values": {"energy": energy, "latency@p95": latency}, "edge_layers": ["v0"], "x1": 1, "x2": 0}
              for latency, energy in ((1.0, 9.0), (2.0, 5.0), (3.0, 4.0))]  # fmt: skip
    energy = Front.from_dict(front_data() | {
        "objectives": [{"name": "energy", "unit": "J", "sense": "min"}, {"name": "latency@p95", "unit": "s", "sense": "min"}],
        "points": points, "complete": True, "reason": None, "constrained": None})  # fmt: skip
    assert [RULE.choose(energy, argument) for argument in ("1", "2.5", "9")] == [0, 1, 2]
