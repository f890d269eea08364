"""Which of many vectors may be non-dominated, if each number may have a small error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.float64] | NDArray[np.int64]
CHUNK = 256
"""The number of vectors that are compared with all kept ones at a time."""


def may_be_best(costs: Array, off: Array, check_time: Callable[[], None] = lambda: None) -> NDArray[np.int64]:
    """The positions of all vectors that may be non-dominated, in lexicographic order of their costs. All costs are minimised.

    `costs` has the shape (objectives, vectors). `off` has the shape (objectives,): the largest error of each objective's numbers.
    Vector a removes vector b if a + 2 off <= b in every objective, because the true costs of a are then nowhere larger than those
    of b. Of vectors that are surely equal, the first is kept. If a removes b, a comes earlier in the order. So no two vectors
    remove each other; and if b would remove c, a removes c too. `check_time` is called now and then, and may raise.
    """
    order = np.lexsort(costs[::-1])
    ordered, room = costs[:, order], 2 * off
    check_time()
    if len(costs) == 1:
        return order[: max(1, int(np.searchsorted(ordered[0], ordered[0, 0] + room[0], side="right")))] if room[0] else order[:1]
    return order[_of_two(ordered, room) if len(costs) == 2 else _of_more(ordered, room, check_time)]


def best_whole(costs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of the non-dominated vectors of whole numbers, and of equal vectors the first only. All costs are minimised.

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
    """The positions of one vector for each group of nearly equal vectors: the one of least `rank`, shape (vectors,).

    `costs` has the shape (objectives, vectors), and is ordered by the first objective. A vector belongs to the first group whose
    first vector differs from it by at most `width`, shape (objectives,), in every objective.
    """
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
    """Which vectors of two objectives are kept, shape (vectors,); they are ordered by the first objective.

    A vector is removed if, among those that are surely no larger in the first objective, one is surely no larger in the second.
    """
    first, second = ordered
    n = len(first)
    before = np.arange(n) if room[0] == 0 else np.minimum(np.searchsorted(first, first - room[0], side="right"), np.arange(n))
    least = np.concatenate([[np.inf], np.minimum.accumulate(second)])[before]
    kept: NDArray[np.bool_] = least + room[1] > second
    return kept


def _of_more(ordered: Numbers, room: Numbers, check_time: Callable[[], None]) -> NDArray[np.bool_]:
    """Which vectors of any number of objectives are kept, shape (vectors,); they are in lexicographic order.

    Each chunk is compared with all kept vectors before it, then with itself.
    """
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
