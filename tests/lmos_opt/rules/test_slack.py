"""`slack:PERCENT`."""

from __future__ import annotations

import pytest

from lmos_opt import InputError
from lmos_opt.rules.slack import RULE
from tests.lmos_opt.rules.points import changes_at, choice


@pytest.mark.parametrize(("argument", "chosen"), [("0", 0), ("99.9", 0), ("100", 1), ("100%", 1), ("300", 2), ("700", 3)])
def test_the_most_memory_within_a_share_of_the_least_latency(argument, chosen):
    assert choice(RULE, argument=argument) == chosen


@pytest.mark.parametrize("argument", ["-1", "much", "nan"])
def test_an_argument_that_is_no_percentage(argument):
    with pytest.raises(InputError, match="is not a"):
        choice(RULE, argument=argument)


def test_it_changes_where_a_points_latency_is_that_share_of_the_least():
    """Twice 4s is 1 + 2s at s = 1/6, which no thousandth is, and 3 at s = 3/8."""
    assert [float(s) for s in changes_at(RULE, 0.1, 0, "100")] == [0.375]
    assert [float(s) for s in changes_at(RULE, 0.1, 0, "50")] == [0.25, 0.5]
