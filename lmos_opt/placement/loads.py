"""The least largest load over a family of down-sets, by dynamic programming over the sets at which places end.

The recursion is that of J. Tarnawski et al., "Efficient Algorithms for Device Placement of DNN Graph Operators", NeurIPS 2020,
section 5. Let best[p, J] be the least largest load of p places that run all blocks of J. It is the minimum of
max(best[p - 1, I], load(J without I)) over the sets I within J.

A limit that no load may exceed, which is added here, keeps the number of pairs (I, J) small. The first p places compute J and
send the tensors that cross its border. So place p can end at J only if (time of J + time of the border) / p is at most the limit.
The places after p have the same bound.

Times are whole multiples of one unit, a power of two, about 2**-48 of the sum of all times. So sums of times are exact, and do
not depend on the order of their terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmos_opt.placement.blocks import Array, Blocks
from lmos_opt.placement.down_sets import Words, holding, meeting, number, words

FINENESS = 48
"""All times together are at most 2**FINENESS units. A double holds whole numbers up to 2**53, so products with the number of places
are exact too."""
CHUNK = 1 << 14
"""The number of sets whose bits are unpacked to floats at once, which bounds the memory."""


@dataclass(frozen=True)
class Placed:
    """An answer: the largest load (s), and for each place except the last the set of the blocks that run up to it."""

    load_s: float
    upto: tuple[int, ...]


@dataclass(frozen=True)
class _Level:
    """The sets at which one place may end, sorted by the time that this place would take for all blocks of the set.

    `sets` are their indices in the family, `time` that time (units), `words` their bits. `best` is the least largest load (units)
    of the places up to this one. `begun` is the index, in the level before, of the set at which the place then begins.
    """

    sets: NDArray[np.int64]
    time: Array
    words: Words
    best: Array
    begun: NDArray[np.int64]


class LeastLoad:
    """The least largest load of one problem, if every place ends at a set of one family of down-sets.

    The family has the shape (words, sets), and holds the empty and the full set.
    """

    def __init__(self, blocks: Blocks, sets: Words) -> None:
        self._n_places, n = blocks.times.shape
        seconds = np.array([tensor.seconds for tensor in blocks.tensors])
        self._unit_s = float(np.exp2(np.ceil(np.log2(blocks.times.max(axis=0).sum() + seconds.sum() or 1.0)) - FINENESS))
        times = np.rint(blocks.times / self._unit_s)
        self._sets, self._seconds = sets, np.rint(seconds / self._unit_s)
        self._makers = words((tensor.makers for tensor in blocks.tensors), n)
        self._readers = words((tensor.readers for tensor in blocks.tensors), n)
        self._time, self._whole = self._summed(times), times.sum(axis=1)
        self._border = self._borders()
        hops = range(1, self._n_places)
        fastest = np.stack([times[h:].min(axis=0) for h in hops])
        self._before = self._summed(np.stack([times[:h].min(axis=0) for h in hops])) + self._border
        self._after = fastest.sum(axis=1)[:, None] - self._summed(fastest) + self._border
        """The least work (units) of all places up to each hop, and of all places after it, for each set: shape (hops, sets)."""

    def _summed(self, weights: Array) -> Array:
        """The sum of each row of weights over the blocks of each set: shape (rows, sets)."""
        found = np.zeros((len(weights), self._sets.shape[1]))
        for begin in range(0, self._sets.shape[1], CHUNK):
            part = np.ascontiguousarray(self._sets[:, begin: begin + CHUNK].T).astype("<u8").view(np.uint8)
            bits = np.unpackbits(part, axis=1, bitorder="little")[:, : weights.shape[1]]
            found[:, begin: begin + CHUNK] = weights @ bits.T.astype(np.float64)
        return found

    def _borders(self) -> Array:
        """The time (units) of all tensors that cross the border of each set: shape (sets,)."""
        found = np.zeros(self._sets.shape[1])
        for k, seconds in enumerate(self._seconds):
            found += seconds * (meeting(self._sets, self._makers[:, k]) & ~holding(self._sets, self._readers[:, k]))
        return found

    @property
    def bound_s(self) -> float:
        """A lower bound (s) of every largest load: at each hop, the work before it and after it, shared out evenly."""
        p = self._n_places
        least = [np.maximum(self._before[h - 1] / h, self._after[h - 1] / (p - h)).min() for h in range(1, p)]
        return float(max(least)) * self._unit_s

    def least(self, limit_s: float, each_set: Callable[[], None] = lambda: None) -> Placed | None:
        """The least largest load and sets that attain it; None if every largest load exceeds `limit_s` (s), which is then proved.

        `each_set` is called for every set at which a place may begin, and may raise to end the search.
        """
        limit = np.floor(min(limit_s / self._unit_s, 2.0**FINENESS))
        levels = [self._first(limit)]
        for p in range(1, self._n_places - 1):
            levels.append(self._next(p, levels[-1], limit, each_set))
        last = levels[-1]
        best = np.maximum(last.best, self._whole[-1] - self._time[-1, last.sets] + self._border[last.sets])
        if not len(best) or best.min() > limit:
            return None
        at = int(np.argmin(best))
        load_s, upto = float(best[at]) * self._unit_s, []
        for level in reversed(levels):
            upto.append(number(self._sets[:, level.sets[at]]))
            at = int(level.begun[at])
        return Placed(load_s, tuple(reversed(upto)))

    def _ends(self, p: int, limit: float) -> NDArray[np.int64]:
        """Indices of the sets at which place p (from 0) may end within the limit (units), sorted by its time for all of a set."""
        possible = (self._before[p] <= limit * (p + 1)) & (self._after[p] <= limit * (self._n_places - p - 1))
        sets = np.flatnonzero(possible)
        return sets[np.argsort(self._time[p, sets], kind="stable")]

    def _level(self, p: int, sets: NDArray[np.int64], best: Array, begun: NDArray[np.int64], limit: float) -> _Level:
        kept = best <= limit
        sets = sets[kept]
        return _Level(sets, self._time[p, sets], self._sets[:, sets], best[kept], begun[kept])

    def _first(self, limit: float) -> _Level:
        sets = self._ends(0, limit)
        return self._level(0, sets, self._time[0, sets] + self._border[sets], np.zeros(len(sets), dtype=np.int64), limit)

    def _next(self, p: int, before: _Level, limit: float, each_set: Callable[[], None]) -> _Level:
        """The level of place p (from 0): every pair of a set of the level before and a larger set, within the limit (units)."""
        sets = self._ends(p, limit)
        bits, time = self._sets[:, sets], self._time[p, sets]
        heavy = time + self._border[sets]
        best, begun = np.full(len(sets), np.inf), np.zeros(len(sets), dtype=np.int64)
        starts = self._time[p, before.sets]
        first, last = np.searchsorted(time, starts, "left"), np.searchsorted(time, starts + limit, "right")
        for k in range(len(before.sets)):
            each_set()
            inner = before.words[:, k]
            around = first[k] + np.flatnonzero(holding(bits[:, first[k]: last[k]], inner))
            around = around[best[around] > before.best[k]]
            if not len(around):
                continue
            load = heavy[around] - starts[k] + self._passed(inner, bits[:, around])
            load = np.maximum(load, before.best[k])
            better = load < np.minimum(best[around], limit + 1)
            best[around[better]], begun[around[better]] = load[better], k
        return self._level(p, sets, best, begun, limit)

    def _passed(self, inner: Words, around: Words) -> Array:
        """The tensors of earlier places in the load of a place that begins at `inner` and ends at each of `around`: shape (sets,).

        A load counts the border of the place's end. That border lacks the tensors of earlier places that the place reads, which
        are added here, and holds those of earlier places that only later places read, which are subtracted (units).
        """
        outside = self._readers & ~inner[:, None]
        crossing = (self._makers & inner[:, None]).any(axis=0) & outside.any(axis=0)
        left = outside[:, crossing]
        met, held = np.zeros((left.shape[1], around.shape[1]), dtype=bool), np.ones((left.shape[1], around.shape[1]), dtype=bool)
        for word, asked in zip(around, left, strict=True):
            if asked.any():
                common = asked[:, None] & word
                met |= common != 0
                held &= common == asked[:, None]
        found: Array = self._seconds[crossing] @ (met.astype(np.float64) + held - 1.0)
        return found
