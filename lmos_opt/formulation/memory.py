"""The edge memory of an edge set, by either model of FORMULATION: exact, in whole bytes, without any solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from lmos_opt.graph import INPUT

if TYPE_CHECKING:
    from lmos_opt.instance import Instance

MemoryModel = Literal["sum", "peak"]


def memory_sum(instance: Instance, edge: frozenset[str]) -> int:
    """Weights and outputs of the edge layers, and the image whenever there is one such layer (the paper, ref. [5])."""
    held = sum(layer.weight_bytes + layer.output_bytes for layer in instance.layers if layer.name in edge)
    return held + (instance.input_bytes if edge else 0)


def memory_peak(instance: Instance, edge: frozenset[str]) -> int:
    """Weights of the edge layers and the most bytes alive while one of them runs.

    While layer v runs, its own output is alive, and every earlier edge output (or the image) that a consumer not yet
    run still needs: one at v or later in topological order, or any at the server.
    """
    names = instance.names
    position = {name: k for k, name in enumerate(names)}
    alive_until: list[tuple[int, float, int]] = []  # (produced at, needed until, bytes)
    for name in (INPUT, *(name for name in names if name in edge)):
        readers = instance.consumers[name]
        until = float("inf") if any(v not in edge for v in readers) else max((position[v] for v in readers), default=-1)
        alive_until.append((-1 if name == INPUT else position[name], until, instance.tensor_bytes(name)))
    steps = [position[name] for name in names if name in edge]
    peak = max(
        (sum(n for start, until, n in alive_until if start == step or (start < step <= until)) for step in steps),
        default=0,
    )
    return peak + sum(instance.layer(name).weight_bytes for name in edge)


MEMORY_MODELS: dict[MemoryModel, Callable[[Instance, frozenset[str]], int]] = {"sum": memory_sum, "peak": memory_peak}


def edge_memory(instance: Instance, edge: frozenset[str], model: MemoryModel = "sum") -> int:
    """The edge memory (B) of a down-closed edge set under a memory model."""
    return MEMORY_MODELS[model](instance, edge)
