"""Fewer blocks with the same least load: a block is merged with a neighbour if some best answer keeps the two together.

There are three steps. Each keeps at least one best answer, also if places differ in speed (a block's time is then its longest):

- A block with one successor is merged with it, if the block's time and the time of all tensors that it reads are together no
  longer than the time of the tensors that it makes. If the two were at different places, the block could move to its successor:
  no place would have more to do, and data would still flow forward.
- A block with one predecessor is merged with it, if the block's time and the time of all tensors that it makes are together no
  longer than the time of the tensors that it alone reads.
- A block that takes no time and reads nothing, such as a mask, is removed if each of its readers reads all its tensors. It runs
  at the place of its first reader, where it costs no more than it would cost to receive its tensors. These count as made at the
  first place that has one of the readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import networkx as nx
import numpy as np

from lmos_opt.placement.blocks import Blocks, Tensor, ones


@dataclass(frozen=True)
class Reduction:
    """A smaller problem, and the blocks of the original problem that it stands for.

    `wholes` has for each block of the smaller problem the set of original blocks that it consists of. `followers` are pairs: a set
    of original blocks that were removed, and the set of blocks of the smaller problem whose first one they run with.
    """

    blocks: Blocks
    wholes: tuple[int, ...]
    followers: tuple[tuple[int, int], ...]

    def expanded(self, chosen: int) -> int:
        """The set of original blocks that a set of blocks of the smaller problem stands for."""
        found = 0
        for k in ones(chosen):
            found |= self.wholes[k]
        for followers, first in self.followers:
            if first & chosen:
                found |= followers
        return found


class _Graph:
    """The graph of blocks while they are merged. A merged block has the number of one of its members."""

    def __init__(self, blocks: Blocks) -> None:
        n = len(blocks.needs)
        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(range(n))
        self.graph.add_edges_from((u, v) for v, needs in enumerate(blocks.needs) for u in ones(needs))
        self.times = {k: blocks.times[:, k] for k in range(n)}
        self.members = {k: 1 << k for k in range(n)}
        self.made: dict[int, list[tuple[set[int], float]]] = {k: [] for k in range(n)}
        for tensor in blocks.tensors:
            (maker,) = ones(tensor.makers)
            self.made[maker].append(({*ones(tensor.readers)}, tensor.seconds))

    def read(self, k: int, alone: bool = False) -> float:
        """The time (s) of moving all tensors that block k reads, or those that it alone reads."""
        return fsum(seconds for u in self.graph.predecessors(k) for readers, seconds in self.made[u]
                    if k in readers and (not alone or readers == {k}))  # fmt: skip

    def sent(self, k: int) -> float:
        """The time (s) of moving all tensors that block k makes."""
        return fsum(seconds for _, seconds in self.made[k])

    def partner(self, k: int) -> int | None:
        """The neighbour with which block k may be merged, by one of the first two steps; None if there is none."""
        time = float(self.times[k].max())
        after: list[int] = [*self.graph.successors(k)]
        before: list[int] = [*self.graph.predecessors(k)]
        if len(after) == 1 and time + self.read(k) <= self.sent(k):
            return after[0]
        if len(before) == 1 and time + self.sent(k) <= self.read(k, alone=True):
            return before[0]
        return None

    def is_free(self, k: int) -> bool:
        """Whether the third step removes block k: it takes no time, reads nothing, and all its readers read all its tensors."""
        after = {*self.graph.successors(k)}
        is_weight = not self.graph.in_degree(k) and bool(after) and not self.times[k].any()
        return is_weight and all(readers == after for readers, _ in self.made[k])

    def merge(self, k: int, other: int) -> None:
        """Make block k a part of its neighbour `other`."""
        around = {*self.graph.successors(k), *self.graph.predecessors(k)} - {other}
        self.graph.add_edges_from((u, other) for u in self.graph.predecessors(k) if u != other)
        self.graph.add_edges_from((other, v) for v in self.graph.successors(k) if v != other)
        self.graph.remove_node(k)
        self.times[other] = self.times[other] + self.times.pop(k)
        self.members[other] |= self.members.pop(k)
        self.made[other] += self.made.pop(k)
        for u in (*around, other):
            for readers, _ in self.made[u]:
                if k in readers:
                    readers.remove(k)
                    readers.add(other)
        for readers, _ in self.made[other]:
            readers.discard(other)
        self.made[other] = [(readers, seconds) for readers, seconds in self.made[other] if readers]


def reduced(blocks: Blocks) -> Reduction:
    """The problem after all possible steps. Each tensor of `blocks` must have one maker."""
    graph = _Graph(blocks)
    waiting = [*reversed(range(len(blocks.needs)))]
    while waiting:
        k = waiting.pop()
        if k in graph.graph and (other := graph.partner(k)) is not None:
            graph.merge(k, other)
            waiting += [*graph.graph.predecessors(other), *graph.graph.successors(other), other]
    free = [k for k in graph.graph if graph.is_free(k)]
    first = {k: [*graph.graph.successors(k)] for k in free}
    graph.graph.remove_nodes_from(free)
    order = [*nx.lexicographical_topological_sort(graph.graph)]
    bit = {k: 1 << i for i, k in enumerate(order)}

    def bits(of: Sequence[int] | set[int]) -> int:
        return sum(bit[k] for k in of)

    makers = {**bit, **{k: bits(readers) for k, readers in first.items()}}
    costs: dict[tuple[int, int], list[float]] = {}
    for k, made in graph.made.items():
        for readers, seconds in made:
            costs.setdefault((makers[k], bits(readers)), []).append(seconds)
    smaller = Blocks(np.stack([graph.times[k] for k in order], axis=1), tuple(bits([*graph.graph.predecessors(k)]) for k in order),
                     tuple(Tensor(*ends, fsum(seconds)) for ends, seconds in costs.items()))  # fmt: skip
    return Reduction(smaller, tuple(graph.members[k] for k in order),
                     tuple((graph.members[k], bits(readers)) for k, readers in first.items()))
