"""`min_latency`."""

from __future__ import annotations

import pytest

from lmos_opt import InputError
from lmos_opt.rules.min_latency import RULE
from tests.lmos_opt.rules.points import changes_at, choice, front


def test_the_point_of_least_latency():
    assert choice(RULE) == 0
    assert choice(RULE, [(3.0, 9), (2.0, 8), (2.0, 7)]) == 1, "the first of equals"


def test_it_stays_for_as_long_as_the_front_does():
    assert changes_at(RULE, 0.1, 0) == []
    assert RULE.least_latency


def test_a_front_without_latency_is_refused():
    data = front().to_dict()
    data["objectives"][0]["name"] = "energy"
    for point in data["points"]:
        point["values"] = {"energy": point["values"]["latency"], "memory": point["values"]["memory"]}
    data["constrained"] = None
    with pytest.raises(InputError, match="the front has no objective 'latency'; it has energy, memory"):
        RULE.choose(type(front()).from_dict(data), "")
