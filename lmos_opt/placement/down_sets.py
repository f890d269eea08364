"""Sets of blocks that hold all that their members need, as rows of bits; they are what may run up to a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
"""Sets as bits, 64 in a word: shape (words, sets), or (words,) of one set."""
WORD = 64


def down_sets(needs: Sequence[int], most: int, width: int | None = None) -> Words | None:
    """All down-sets of blocks in topological order, each once; None where they are more than `most`.

    With a `width`, only those along the order: what lacks a block has none that stands further behind it than that.
    A set without its last block is one too, so the sets with a block are those of the earlier blocks that hold what it needs,
    with the block added: time and memory grow with the number of sets, not with that of all subsets.
    """
    found = np.zeros((n_words(len(needs)), 1), dtype=np.uint64)
    for k, needed in enumerate(needs):
        behind = 0 if width is None else (1 << max(0, k - width)) - 1
        asked = words([needed | behind], len(needs))
        further = found[:, ((found & asked) == asked).all(axis=0)]
        if found.shape[1] + further.shape[1] > most:
            return None
        further[k // WORD] |= np.uint64(1 << k % WORD)
        found = np.concatenate([found, further], axis=1)
    return found


def n_words(n: int) -> int:
    """How many words n blocks take, at least one."""
    return max(1, -(-n // WORD))


def words(sets: Iterable[int], n: int) -> Words:
    """Sets given as numbers, of n blocks."""
    shifts, mask = range(0, WORD * n_words(n), WORD), (1 << WORD) - 1
    return np.array([[one >> shift & mask for shift in shifts] for one in sets], dtype=np.uint64).reshape(-1, len(shifts)).T


def number(one: Words) -> int:
    """One set as a number."""
    return sum(int(word) << WORD * w for w, word in enumerate(one))


def holding(sets: Words, inner: Words) -> NDArray[np.bool_]:
    """Which of the sets hold all of one set."""
    found = np.ones(sets.shape[1], dtype=bool)
    for w in np.flatnonzero(inner):
        found &= (sets[w] & inner[w]) == inner[w]
    return found


def meeting(sets: Words, other: Words) -> NDArray[np.bool_]:
    """Which of the sets have anything of one set."""
    found = np.zeros(sets.shape[1], dtype=bool)
    for w in np.flatnonzero(other):
        found |= (sets[w] & other[w]) != 0
    return found
