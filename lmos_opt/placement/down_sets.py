"""Down-sets: sets of blocks that hold, with each block, all blocks that it needs. The blocks up to a place form one.

Sets are columns of a matrix of bits, so that numpy tests many of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
"""Sets as bits, 64 blocks in a word: shape (words, sets), or (words,) for one set."""
WORD = 64


def down_sets(needs: Sequence[int], most: int, width: int | None = None) -> Words | None:
    """All down-sets, each once, with shape (words, sets); None if there are more than `most`.

    `needs` has for each block, in topological order, the set of the blocks that it needs. With a `width`, only the down-sets
    near this order are returned: if a set lacks block k, it holds no block after k + width.

    A down-set without its last block is a down-set as well. So the down-sets whose last block is k are the down-sets of earlier
    blocks that hold all that k needs, with k added. Time and memory grow with the number of down-sets, not with the number of
    all subsets.
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
    """The number of words that a set of n blocks takes, at least one."""
    return max(1, -(-n // WORD))


def words(sets: Iterable[int], n: int) -> Words:
    """Sets of n blocks as bits, shape (words, sets), from the same sets as ints."""
    shifts, mask = range(0, WORD * n_words(n), WORD), (1 << WORD) - 1
    return np.array([[one >> shift & mask for shift in shifts] for one in sets], dtype=np.uint64).reshape(-1, len(shifts)).T


def number(one: Words) -> int:
    """One set as an int."""
    return sum(int(word) << WORD * w for w, word in enumerate(one))


def holding(sets: Words, inner: Words) -> NDArray[np.bool_]:
    """For each of the sets whether it holds all blocks of `inner`: shape (sets,)."""
    found = np.ones(sets.shape[1], dtype=bool)
    for w in np.flatnonzero(inner):
        found &= (sets[w] & inner[w]) == inner[w]
    return found


def meeting(sets: Words, other: Words) -> NDArray[np.bool_]:
    """For each of the sets whether it holds any block of `other`: shape (sets,)."""
    found = np.zeros(sets.shape[1], dtype=bool)
    for w in np.flatnonzero(other):
        found |= (sets[w] & other[w]) != 0
    return found
