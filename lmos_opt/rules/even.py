"""A cut by hand: each place gets an even share of the layers in their order, or of the time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance


def by_layers(instance: Instance) -> list[int]:
    """The number of layers up to each place except the last: as close to equal shares as whole layers allow."""
    n, k = len(instance.layers), len(instance.places)
    return [round(n * p / k) for p in range(1, k)]


def by_time(instance: Instance) -> list[int]:
    """The number of layers up to each place except the last, for the least longest time of a place; links do not count.

    Exact over all cuts of the order by dynamic programming: O(K L log L). Of equal ones, the one with the most layers at later
    places.
    """
    n = len(instance.layers)
    until = [[0.0, *accumulate(layer.t_s[p] for layer in instance.layers)] for p in range(len(instance.places))]
    longest = list(until[0])  # of the places so far, with the first m layers
    cuts: list[list[int]] = []
    for times in until[1:]:
        grown, at = [], []
        both = [before + here for before, here in zip(longest, times, strict=True)]
        for m in range(n + 1):  # with more layers before, the earlier places take longer, and this one takes less
            crossed = bisect_left(both, times[m], hi=m)
            best = min((max(longest[i], times[m] - times[i]), i) for i in (crossed - 1, crossed) if i >= 0)
            grown.append(best[0])
            at.append(best[1])
        longest = grown
        cuts.append(at)
    found: list[int] = []
    m = n
    for at in reversed(cuts):
        m = at[m]
        found.insert(0, m)
    return found


SHARES: dict[str, Callable[[Instance], list[int]]] = {"layers": by_layers, "time": by_time}


def get(share: str, rule: str) -> Callable[[Instance], list[int]]:
    """The meaning of `even:layers` or `even:time`; InputError for anything else."""
    if share not in SHARES:
        raise InputError("rule", f"{rule!r}: expected even:layers or even:time")
    return SHARES[share]
