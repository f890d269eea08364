"""The placement problem in numbers: `Blocks`, with their times at each place, the blocks that they need, and their tensors.

A block is one layer, or several layers that run at the same place. A set of blocks is an int: bit k is 1 if block k is in the
set. docs/placement.md states the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tensor:
    """A tensor, and the time of moving it.

    `makers` and `readers` are sets of blocks. A tensor usually has one maker. With several, the tensor is made at the first
    place that has one of them. If a reader is at another place, the place that makes the tensor pays `seconds` (s), and each
    other place that reads it pays `seconds` too, once however many readers it has.
    """

    makers: int
    readers: int
    seconds: float


@dataclass(frozen=True)
class Blocks:
    """Blocks in topological order.

    `times` has the shape (places, blocks), in s. `needs` has for each block the set of the blocks whose tensors it reads.
    """

    times: Array
    needs: tuple[int, ...]
    tensors: tuple[Tensor, ...]

    @property
    def everything(self) -> int:
        """The set of all blocks."""
        return (1 << len(self.needs)) - 1

    def ordered(self, order: Sequence[int]) -> Blocks:
        """The same blocks in another topological order. `order` lists their present numbers in the new order."""
        bit = {k: 1 << place for place, k in enumerate(order)}

        def moved(chosen: int) -> int:
            return sum(bit[k] for k in ones(chosen))

        return Blocks(self.times[:, order], tuple(moved(self.needs[k]) for k in order),
                      tuple(Tensor(moved(one.makers), moved(one.readers), one.seconds) for one in self.tensors))


def ones(bits: int) -> Iterator[int]:
    """The positions of the bits that are 1, in increasing order: the members of a set.

    >>> list(ones(0b1101))
    [0, 2, 3]
    """
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


@dataclass(frozen=True)
class Placing:
    """A front problem that asks only for the least largest load: its blocks, and the way back from an answer to its columns.

    `vector` takes, for each place except the last, the set of the blocks that run up to this place. It returns the values
    of the program's columns.
    """

    blocks: Blocks
    vector: Callable[[Sequence[int]], Array]
