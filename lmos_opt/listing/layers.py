"""An instance as blocks to be placed: layers that must run at the same place are one block."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from math import fsum

import networkx as nx
import numpy as np

from lmos_opt.instance import Instance
from lmos_opt.placement.blocks import Blocks, Tensor, ones


class Layers:
    """The blocks of an instance, and the names of the layers in each.

    A group of `instance.groups` is in one block, with all layers on the way from one of its layers to another. Any other layer is
    a block of its own.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._arcs = [(u, v) for u, v in instance.arcs if u not in instance.inputs]
        self.names = _together(instance, self._arcs) if instance.groups else tuple(frozenset([name]) for name in instance.names)
        self._block = {name: k for k, members in enumerate(self.names) for name in members}
        needs = [0] * len(self.names)
        for u, v in self._arcs:
            if self._block[u] != self._block[v]:
                needs[self._block[v]] |= 1 << self._block[u]
        self.needs = tuple(needs)
        """For each block the set of the blocks that it reads from, as bits."""

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks with their times (s), and their tensors with the times (s) of moving them through a port (see `load`)."""
        instance, block, rate = self._instance, self._block, self._instance.port_bytes_per_s
        readers = dict.fromkeys(instance.names, 0)
        for u, v in self._arcs:
            if block[u] != block[v]:
                readers[u] |= 1 << block[v]
        tensors = [Tensor(1 << block[u], read, instance.tensor_bytes(u) / rate) for u, read in readers.items() if read and rate]
        times = [[fsum(instance.layer(v).t_s[p] for v in members) for members in self.names] for p in range(len(instance.places))]
        return Blocks(np.array(times), self.needs, tuple(tensors))

    def of(self, chosen: int) -> frozenset[str]:
        """The names of the layers in a set of blocks."""
        return frozenset(name for k in ones(chosen) for name in self.names[k])


def _together(instance: Instance, arcs: list[tuple[str, str]]) -> tuple[frozenset[str], ...]:
    """The layers of each block, in topological order."""
    graph = nx.DiGraph()
    graph.add_nodes_from(instance.names)
    graph.add_edges_from(arcs)
    for group in instance.groups:
        graph.add_edges_from([(u, v) for a, b in pairwise(sorted(group)) for u, v in ((a, b), (b, a))])
    parts, position = nx.condensation(graph), {name: k for k, name in enumerate(instance.names)}
    first = {part: min(map(position.__getitem__, parts.nodes[part]["members"])) for part in parts}
    order = nx.lexicographical_topological_sort(parts, key=first.__getitem__)
    return tuple(frozenset(parts.nodes[part]["members"]) for part in order)
