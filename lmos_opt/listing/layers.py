"""An instance as blocks to be placed: layers that have to be at one place are one."""

from __future__ import annotations

from itertools import pairwise
from math import fsum

import networkx as nx
import numpy as np

from lmos_opt.instance import Instance
from lmos_opt.placement.blocks import Blocks, Tensor, ones


class Layers:
    """The blocks of an instance, and which layers they hold: those of a group, and all on the way from one of them to another."""

    def __init__(self, instance: Instance) -> None:
        arcs = [(u, v) for u, v in instance.arcs if u not in instance.inputs]
        graph = nx.DiGraph()
        graph.add_nodes_from(instance.names)
        graph.add_edges_from(arcs)
        for group in instance.groups:
            graph.add_edges_from([(u, v) for a, b in pairwise(sorted(group)) for u, v in ((a, b), (b, a))])
        parts = nx.condensation(graph)
        first = {part: min(map(instance.names.index, parts.nodes[part]["members"])) for part in parts}
        order = [*nx.lexicographical_topological_sort(parts, key=first.__getitem__)]
        self.names = tuple(frozenset(parts.nodes[part]["members"]) for part in order)
        block = {name: k for k, members in enumerate(self.names) for name in members}
        needs = [0] * len(order)
        readers = dict.fromkeys(instance.names, 0)
        for u, v in arcs:
            if block[u] != block[v]:
                needs[block[v]] |= 1 << block[u]
                readers[u] |= 1 << block[v]
        rate = instance.port_bytes_per_s
        tensors = [Tensor(1 << block[u], read, instance.tensor_bytes(u) / rate) for u, read in readers.items() if read and rate]
        times = [[fsum(instance.layer(v).t_s[p] for v in members) for members in self.names] for p in range(len(instance.places))]
        self.blocks = Blocks(np.array(times), tuple(needs), tuple(tensors))

    def of(self, chosen: int) -> frozenset[str]:
        """The layers of some blocks."""
        return frozenset(name for k in ones(chosen) for name in self.names[k])
