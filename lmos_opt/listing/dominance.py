"""Which of many vectors may be non-dominated, where each number may be a little off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.float64] | NDArray[np.int64]
CHUNK = 256
"""Vectors that are held against all kept ones at a time."""


def may_be_best(costs: Array, off: Array, check_time: Callable[[], None] = lambda: None) -> NDArray[np.int64]:
    """The positions of all vectors that nothing surely dominates, of those that are surely equal the first, ordered by cost.

    `costs` has the shape (objectives, vectors), `off` how far each objective's numbers may be from the true ones. A vector is left
    out only for one whose true costs are nowhere larger: a is that for b if a + 2 off <= b in every objective. It then comes
    earlier in lexicographic order, so that none of two leaves out the other, and what left out a vector that is left out itself
    leaves out all that this one did.
    """
    order = np.lexsort(costs[::-1])
    ordered, room = costs[:, order], 2 * off
    check_time()
    if len(costs) == 1:
        return order[: max(1, int(np.searchsorted(ordered[0], ordered[0, 0] + room[0], side="right")))] if room[0] else order[:1]
    return order[_of_two(ordered, room) if len(costs) == 2 else _of_more(ordered, room, check_time)]


def best_whole(costs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of all vectors of whole numbers that no other dominates, of equal ones the first.

    `costs` has the shape (objectives, vectors).
    """
    if costs.shape[1] <= 1:
        return np.arange(costs.shape[1])
    order = np.lexsort(costs[::-1])
    ordered = costs[:, order]
    if len(costs) == 1:
        return order[:1]
    if len(costs) > 2:
        return order[_of_more(ordered, np.zeros(len(costs), dtype=np.int64), lambda: None)]
    least = np.minimum.accumulate(ordered[1])
    is_kept = np.ones(len(order), dtype=bool)
    is_kept[1:] = ordered[1, 1:] < least[:-1]
    return order[is_kept]


def apart(costs: Array, width: Array, rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of vectors that stand for all: each vector is in one group with others that are within `width` of the first of
    it in every objective, and of each group the vector of least rank is given. The vectors are ordered by the first objective."""
    kept: list[int] = []
    best: list[int] = []
    known = np.full((len(costs), costs.shape[1]), np.inf)
    first = 0
    for k in range(costs.shape[1]):
        vector = costs[:, k]
        while first < len(kept) and known[0, first] < vector[0] - width[0]:
            first += 1
        near = np.flatnonzero(np.all(np.abs(known[:, first : len(kept)] - vector[:, None]) <= width[:, None], axis=0))
        if not len(near):
            known[:, len(kept)] = vector
            kept.append(k)
            best.append(k)
        elif rank[k] < rank[best[group := first + int(near[0])]]:
            best[group] = k
    return np.array(best, dtype=np.int64)


def _of_two(ordered: Array, room: Array) -> NDArray[np.bool_]:
    """Of two objectives, the first rising: how many are surely no larger in it, and the least that these have in the second."""
    first, second = ordered
    n = len(first)
    before = np.arange(n) if room[0] == 0 else np.minimum(np.searchsorted(first, first - room[0], side="right"), np.arange(n))
    least = np.concatenate([[np.inf], np.minimum.accumulate(second)])[before]
    kept: NDArray[np.bool_] = least + room[1] > second
    return kept


def _of_more(ordered: Numbers, room: Numbers, check_time: Callable[[], None]) -> NDArray[np.bool_]:
    """Of any number, the first rising: each chunk against all kept ones before it, then against itself."""
    n = ordered.shape[1]
    is_kept = np.zeros(n, dtype=bool)
    known = np.zeros((len(ordered), 0), dtype=ordered.dtype)
    for start in range(0, n, CHUNK):
        check_time()
        chunk = ordered[:, start : start + CHUNK]
        beaten = np.all(known[:, :, None] <= chunk[:, None, :], axis=0).any(axis=0)
        left = np.flatnonzero(~beaten)
        own = chunk[:, left]
        among = np.all(own[:, :, None] + room[:, None, None] <= own[:, None, :], axis=0)
        left = left[~np.triu(among, 1).any(axis=0)]
        is_kept[start + left] = True
        known = np.concatenate([known, chunk[:, left] + room[:, None]], axis=1)
    return is_kept
