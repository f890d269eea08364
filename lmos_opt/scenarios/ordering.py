"""The weights of scenarios as whole numbers, and an order of scenarios from the best to the worst."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import lcm

from lmos_opt.scenarios.records import Scenario


def whole_weights(scenarios: Sequence[Scenario]) -> list[int]:
    """The weights as whole numbers in the same proportions, from their decimal digits, so that 0.1 + 0.2 is 0.3."""
    exact = [Fraction(repr(one.weight)) for one in scenarios]
    least = lcm(*(one.denominator for one in exact))
    return [int(one * least) for one in exact]


def no_worse(one: Scenario, other: Scenario) -> bool:
    """Whether no part of any split takes longer in scenario `one` than in `other`."""
    n_hops = max(len(one.bandwidth), len(other.bandwidth))
    n_places = max(len(one.time), len(other.time))
    return (all(one.bandwidth_of(h) >= other.bandwidth_of(h) for h in range(1, n_hops + 1))
            and all(one.time_of(p) <= other.time_of(p) for p in range(1, n_places + 1)))  # fmt: skip


def best_first(scenarios: Sequence[Scenario]) -> list[int] | None:
    """The indices of the scenarios in an order in which each is no worse than those after it; None if there is no such order.

    If only the bandwidth of one hop is uncertain, the order by bandwidth always exists.
    """
    n = max((len(one.bandwidth) for one in scenarios), default=0), max((len(one.time) for one in scenarios), default=0)
    whole = [Scenario(weight=one.weight, bandwidth=one.bandwidth or (1.0,) * n[0], time=one.time or (1.0,) * n[1])
             for one in scenarios]
    order = sorted(range(len(scenarios)), key=lambda k: (*(-factor for factor in whole[k].bandwidth), *whole[k].time))
    return order if all(no_worse(whole[a], whole[b]) for a, b in pairwise(order)) else None
