"""The down-sets at which a place may end if no load exceeds a limit, found without listing all down-sets.

Blocks are decided in their order: each is in the set, or out of it. If a block is out, all blocks that need it are out too. So a
partial set has a time of the blocks that are in, a time of those that are out, and a time of the tensors that cross its border
whatever is decided later. If the set ends at hop h of P places, the first h places run the blocks that are in and send the
tensors that cross: these times together are at most h times the limit. The same holds for the other P - h places and the blocks
that are out. A partial set that breaks one of these bounds is dropped, so no set is made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lmos_opt.placement.blocks import Array, Blocks, ones
from lmos_opt.placement.down_sets import WORD, Words, holding, meeting, n_words, words

LOOSE = 1e-9
"""The share of a limit that is added to it. Sums of the same times in other orders differ by less, so rounding loses no set."""
_PIECE = 8
"""Sums of weights are looked up in tables for this many bits."""


@dataclass(frozen=True)
class _Partial:
    """Partial sets: the blocks `inside` and `outside` (words, sets), and for each set three times (s), shape (sets,).

    `before` is the least time of the blocks inside, `after` that of the blocks outside, `border` the time of the tensors that
    are known to cross.
    """

    inside: Words
    outside: Words
    before: Array
    after: Array
    border: Array

    def __len__(self) -> int:
        return len(self.border)

    def kept(self, which: NDArray[np.bool_]) -> Self:
        """The partial sets that a mask of shape (sets,) selects."""
        return type(self)(self.inside[:, which], self.outside[:, which], self.before[which], self.after[which], self.border[which])

    def within(self, before: float, after: float, border: float) -> Self:
        """The partial sets whose times do not exceed these limits (s). A border counts on both sides."""
        fits = (self.before + self.border <= before) & (self.after + self.border <= after)
        return self.kept(fits & (self.border <= border))

    @classmethod
    def joined(cls, parts: Sequence[_Partial]) -> _Partial:
        """All partial sets of several lists, in one."""
        return cls(np.concatenate([one.inside for one in parts], axis=1), np.concatenate([one.outside for one in parts], axis=1),
                   *(np.concatenate([getattr(one, key) for one in parts]) for key in ("before", "after", "border")))  # fmt: skip


class _Sums:
    """Sums of weights, one weight for each block, over the blocks of many sets."""

    def __init__(self, weights: Array) -> None:
        padded = np.zeros(n_words(len(weights)) * WORD)
        padded[: len(weights)] = weights
        bits = np.unpackbits(np.arange(1 << _PIECE, dtype=np.uint8)[:, None], axis=1, bitorder="little")
        self._tables = padded.reshape(-1, _PIECE) @ bits.T.astype(np.float64)

    def of(self, sets: Words) -> Array:
        """The sum of each set: shape (sets,)."""
        pieces = np.ascontiguousarray(sets.T).astype("<u8").view(np.uint8)
        found = np.zeros(sets.shape[1])
        for table, piece in zip(self._tables, pieces.T, strict=True):
            found += table[piece]
        return found


class Limited:
    """The down-sets of one problem at which a place may end, for any limit."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks, n = blocks, len(blocks.needs)
        reached = [1 << k for k in range(n)]
        for v in reversed(range(n)):
            for u in ones(blocks.needs[v]):
                reached[u] |= reached[v]
        self._reached = words(reached, n)
        self._makers, self._readers = (words([getattr(one, key) for one in blocks.tensors], n) for key in ("makers", "readers"))
        self._made = [[t for t, one in enumerate(blocks.tensors) if one.makers >> k & 1] for k in range(n)]
        self._cut = [[t for t, one in enumerate(blocks.tensors) if one.readers & reached[k] and one.makers & ~reached[k]]
                     for k in range(n)]  # fmt: skip

    def sets(self, limit_s: float, most: int, each_step: Callable[[], None] = lambda: None) -> Words | None:
        """All down-sets at which some place may end if no load exceeds `limit_s` (s), each once: shape (words, sets).

        The empty and the full set are always among them. None if the search holds more than `most` sets at once. `each_step` is
        called before each block is decided, and may raise to end the search.
        """
        n, k = len(self._blocks.needs), len(self._blocks.times)
        found = [words([0, self._blocks.everything], n)]
        for hop in range(1, k):
            here = self._at(hop, limit_s * (1 + LOOSE), most - sum(sets.shape[1] for sets in found), each_step)
            if here is None:
                return None
            found.append(here)
        unique: Words = np.unique(np.concatenate(found, axis=1), axis=1)
        return unique

    def _at(self, hop: int, limit_s: float, most: int, each_step: Callable[[], None]) -> Words | None:
        """The sets at which the first `hop` places may end; None if there are too many. `limit_s` has its slack already."""
        times, n = self._blocks.times, len(self._blocks.needs)
        first, rest = times[:hop].min(axis=0), times[hop:].min(axis=0)
        spare_s = (len(times) * limit_s - float(np.minimum(first, rest).sum())) / 2  # the border is paid on both sides of it
        sums, limits = _Sums(rest), (hop * limit_s, (len(times) - hop) * limit_s, spare_s)
        nothing, zero = np.zeros((n_words(n), 1), dtype=np.uint64), np.zeros(1)
        partial, whole = _Partial(nothing, nothing, zero, zero, zero), [nothing[:, :0]]
        undecided = words([((1 << n) - 1) ^ ((1 << k + 1) - 1) for k in range(n)], n)
        for k in range(n):
            each_step()
            free = partial.outside[k // WORD] & np.uint64(1 << k % WORD) == 0
            open_ = partial.kept(free)
            decided = (self._with(open_, k, first[k]), self._without(open_, k, sums))
            partial = _Partial.joined([partial.kept(~free), *(one.within(*limits) for one in decided)])
            is_whole = holding(partial.outside, undecided[:, k])
            whole.append(partial.inside[:, is_whole])
            partial = partial.kept(~is_whole)
            if len(partial) + sum(sets.shape[1] for sets in whole) > most:
                return None
        found: Words = np.concatenate(whole, axis=1)
        return found

    def _with(self, partial: _Partial, k: int, seconds: float) -> _Partial:
        """Put block k in. A tensor that it makes crosses the border from now on if a reader is out."""
        inside, border = partial.inside.copy(), partial.border.copy()
        for t in self._made[k]:
            crosses = meeting(partial.outside, self._readers[:, t]) & ~meeting(partial.inside, self._makers[:, t])
            border += self._blocks.tensors[t].seconds * crosses
        inside[k // WORD] |= np.uint64(1 << k % WORD)
        return _Partial(inside, partial.outside, partial.before + seconds, partial.after, border)

    def _without(self, partial: _Partial, k: int, sums: _Sums) -> _Partial:
        """Put block k out, with all blocks that need it. A tensor that they read crosses from now on if it is made inside."""
        border = partial.border.copy()
        for t in self._cut[k]:
            crosses = meeting(partial.inside, self._makers[:, t]) & ~meeting(partial.outside, self._readers[:, t])
            border += self._blocks.tensors[t].seconds * crosses
        outside = partial.outside | self._reached[:, k][:, None]
        return _Partial(partial.inside, outside, partial.before, sums.of(outside), border)
