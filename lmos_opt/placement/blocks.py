"""`Blocks`: what has to be placed, in numbers: times at each place, who needs whom, and what tensors cost to move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tensor:
    """What a place that makes or reads it pays for moving it (s), if any reader is elsewhere; blocks as bits of a number.

    It is made where the first of its `makers` is: mostly its only one.
    """

    makers: int
    readers: int
    seconds: float


@dataclass(frozen=True)
class Blocks:
    """Blocks in topological order: `times` of shape (places, blocks), in s; for each block the blocks that it needs, as bits."""

    times: Array
    needs: tuple[int, ...]
    tensors: tuple[Tensor, ...]

    @property
    def everything(self) -> int:
        """The set of all blocks."""
        return (1 << len(self.needs)) - 1

    def ordered(self, order: Sequence[int]) -> Blocks:
        """The same blocks in another topological order: their numbers here, in that order."""
        bit = {k: 1 << place for place, k in enumerate(order)}

        def moved(chosen: int) -> int:
            return sum(bit[k] for k in ones(chosen))

        return Blocks(self.times[:, order], tuple(moved(self.needs[k]) for k in order),
                      tuple(Tensor(moved(one.makers), moved(one.readers), one.seconds) for one in self.tensors))


def ones(bits: int) -> Iterator[int]:
    """The places of a number's bits that are 1, rising.

    >>> list(ones(0b1101))
    [0, 2, 3]
    """
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


@dataclass(frozen=True)
class Placing:
    """A front's only objective where it is nothing but the least largest load: what is to be placed, and how a front's solver
    would say it: the vector of the sets of blocks that run up to each place but the last."""

    blocks: Blocks
    vector: Callable[[Sequence[int]], Array]
