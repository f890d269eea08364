"""What rules read off a front."""

from __future__ import annotations

import pytest

from lmos_opt import InfeasibleError, InputError
from lmos_opt.rules.values import most_memory, scaled, values
from tests.lmos_opt.rules.points import front


def test_values_in_the_fronts_order():
    assert values(front(), "memory") == [0, 6, 7, 8]
    with pytest.raises(InputError, match="no objective 'energy'; it has latency, memory"):
        values(front(), "energy")


def test_costs_are_scaled_over_the_front():
    assert scaled(front()) == [(0, 1), pytest.approx((1 / 7, 1 / 4)), pytest.approx((3 / 7, 1 / 8)), (1, 0)]
    assert scaled(front([(2.0, 5)])) == [(0, 0)], "one value has no range"


def test_the_most_memory_within_a_latency():
    assert most_memory(front(), 4.0, "it") == 2
    with pytest.raises(InfeasibleError, match=r"it \(the least latency is 1 s\)"):
        most_memory(front(), 0.9, "it")
