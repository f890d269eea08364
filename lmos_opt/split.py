"""`Split`: an edge set with its instance, and what follows from it alone, computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lmos_opt.formulation.memory import MemoryModel, edge_memory
from lmos_opt.instance import Instance
from lmos_opt.stages import StageTimes, stage_times


@dataclass(frozen=True)
class Split:
    """A down-closed edge set of an instance; objective values are recomputed from it, never read from a solver."""

    instance: Instance
    edge: frozenset[str]
    memory_model: MemoryModel = "sum"

    @cached_property
    def times(self) -> StageTimes:
        """The stages' times (s) and the bytes that cross."""
        return stage_times(self.instance, self.edge)

    @cached_property
    def memory_bytes(self) -> int:
        """The edge memory (B) under the memory model."""
        return edge_memory(self.instance, self.edge, self.memory_model)

    @property
    def edge_layers(self) -> tuple[str, ...]:
        """The edge layers in topological order."""
        return tuple(name for name in self.instance.names if name in self.edge)

    @property
    def is_proper(self) -> bool:
        """Whether both sides have a layer."""
        return 0 < len(self.edge) < len(self.instance.layers)


def down_closed_sets(instance: Instance) -> Iterator[frozenset[str]]:
    """Every edge set that precedence admits, each once: L+1 prefixes of a chain, up to 2**L of a general graph."""
    inputs = [[u for u in layer.inputs if u not in instance.inputs] for layer in instance.layers]
    names = instance.names
    chosen: list[int] = []
    held: set[str] = set()
    yield frozenset()
    k = 0
    while True:  # depth first without recursion: chains are longer than Python's stack
        v = next((v for v in range(k, len(names)) if all(u in held for u in inputs[v])), None)
        if v is not None:
            chosen.append(v)
            held.add(names[v])
            yield frozenset(held)
        elif chosen:
            v = chosen.pop()
            held.discard(names[v])
        else:
            return
        k = v + 1
