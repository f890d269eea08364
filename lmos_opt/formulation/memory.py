"""The edge memory of an edge set, by either memory model: exact, in whole bytes, without any solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lmos_opt.instance import Instance

MemoryModel = Literal["sum", "peak"]


def memory_sum(instance: Instance, edge: frozenset[str]) -> int:
    """Weights and outputs of the edge layers, and the inputs that they hold (the paper, ref. [5]): see `Instance.holders`."""
    held = sum(layer.weight_bytes + layer.output_bytes for layer in instance.layers if layer.name in edge)
    return held + sum(n_bytes for name, n_bytes in instance.inputs.items() if any(v in edge for v in instance.holders[name]))


def memory_peak(instance: Instance, edge: frozenset[str]) -> int:
    """Weights of the edge layers and the most bytes alive while one of them runs.

    While layer v runs, its own output is alive, and every input and earlier edge output that a consumer not yet
    run still needs: one at v or later in topological order, or any at the server. One that is returned stays alive.
    """
    weights = sum(layer.weight_bytes for layer in instance.layers if layer.name in edge)
    return weights + max((n_bytes for _, n_bytes in _bytes_alive(instance, edge)), default=0)


def peak_step(instance: Instance, edge: frozenset[str]) -> str | None:
    """The edge layer while which most bytes are alive; None if there is no edge layer."""
    return max(_bytes_alive(instance, edge), key=lambda step: step[1], default=(None, 0))[0]


def is_alive(instance: Instance, edge: frozenset[str], a: str, v: str) -> bool:
    """Whether an input or the output of an earlier a is alive while edge layer v runs."""
    position = {name: k for k, name in enumerate(instance.names)}
    readers = instance.consumers[a]
    return (a in instance.inputs or a in edge) and (a in instance.returned or any(r not in edge or position[r] >= position[v]
                                                                        for r in readers))


def _bytes_alive(instance: Instance, edge: frozenset[str]) -> list[tuple[str, int]]:
    """For every edge layer, in order, the bytes alive while it runs: one sweep, O(layers + arcs)."""
    position = {name: k for k, name in enumerate(instance.names)}
    freed: dict[int, int] = {}
    found: list[tuple[str, int]] = []
    alive = 0

    def hold(name: str, at: int) -> None:
        """Count an output until after its last reader; one that a server layer reads or the network returns stays, one
        nobody reads goes."""
        nonlocal alive
        readers = instance.consumers[name]
        alive += instance.tensor_bytes(name)
        if name not in instance.returned and all(v in edge for v in readers):
            last = max((position[v] for v in readers), default=at)
            freed[last] = freed.get(last, 0) + instance.tensor_bytes(name)

    for name in instance.inputs:
        hold(name, -1)
    alive -= freed.pop(-1, 0)
    for k, name in enumerate(instance.names):
        if name in edge:
            hold(name, k)
            found.append((name, alive))
        alive -= freed.pop(k, 0)
    return found


MEMORY_MODELS: dict[MemoryModel, Callable[[Instance, frozenset[str]], int]] = {"sum": memory_sum, "peak": memory_peak}


def edge_memory(instance: Instance, edge: frozenset[str], model: MemoryModel = "sum") -> int:
    """The edge memory (B) of a down-closed edge set under a memory model."""
    return MEMORY_MODELS[model](instance, edge)
