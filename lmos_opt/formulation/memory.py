"""The memory (B) that a place needs under each memory model, exactly and without a solver (docs/reference/objectives.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmos_opt.errors import InputError
from lmos_opt.graph import all_before

if TYPE_CHECKING:
    from lmos_opt.instance import Instance
    from lmos_opt.profile import Shared

MemoryModel = Literal["sum", "peak"]
MEMORY_MODELS: tuple[MemoryModel, ...] = ("sum", "peak")


def checked_model(name: str) -> MemoryModel:
    """The memory model of that name; InputError if there is none."""
    found = next((model for model in MEMORY_MODELS if model == name), None)
    if found is None:
        raise InputError("memory model", f"{name!r} is not one of {', '.join(MEMORY_MODELS)}")
    return found


@dataclass(frozen=True)
class _Stay:
    """The layers at a place, all layers up to it, and the tensors that it receives (at the first place, the inputs)."""

    instance: Instance
    layers: frozenset[str]
    upto: frozenset[str]
    received: tuple[str, ...]
    is_first: bool

    @property
    def kept(self) -> frozenset[str]:
        """The tensors that the place keeps to the end: those that it sends on and, at the first place, those of the result."""
        return frozenset(self.instance.crossing(self.upto)) | (self.instance.returned if self.is_first else frozenset())


def _stay(instance: Instance, upto: Sequence[frozenset[str]], p: int) -> _Stay:
    before = upto[p - 2] if p > 1 else frozenset()
    to = upto[p - 1] if p <= len(upto) else frozenset(instance.names)
    return _Stay(instance, to - before, to, instance.crossing(before) if p > 1 else tuple(instance.inputs), p == 1)


def _copies(instance: Instance, stay: _Stay) -> int:
    """The bytes of weights that layers of the place share with layers of other places, so that the place holds a copy."""
    return sum(weights.bytes for layer in instance.layers if layer.shared and layer.name in stay.layers
               for weights in layer.shared if stay.layers.isdisjoint(weights.layers))  # fmt: skip


def shared_weights(instance: Instance, p: int) -> list[tuple[str, Shared]]:
    """The weights that a layer shares with earlier ones, with the layer, where it may run at place p and all these elsewhere.

    Where the layer is made from the output of one of them, that one runs at the first place if the layer does. So only weights of
    parallel layers count there.
    """
    inputs = {layer.name: layer.inputs for layer in instance.layers}
    found = []
    for layer in instance.layers:
        before = all_before(inputs, layer.name) if layer.shared and p == 1 else set[str]()
        found += [(layer.name, weights) for weights in layer.shared if before.isdisjoint(weights.layers)]
    return found


def _sum(instance: Instance, stay: _Stay) -> int:
    """The memory (B) under `sum`: weights and outputs of the layers, and received tensors (the paper, ref. [5]).

    At the first place an input counts if one of its `Instance.holders` runs there.
    """
    held = sum(layer.held_bytes + layer.output_bytes for layer in instance.layers if layer.name in stay.layers)
    held += _copies(instance, stay)
    return held + sum(instance.tensor_bytes(name) for name in stay.received
                      if not stay.is_first or any(v in stay.layers for v in instance.holders[name]))


def _peak(instance: Instance, stay: _Stay) -> int:
    """The memory (B) under `peak`: weights of the layers, and the most bytes that are alive while one of them runs.

    While layer v runs, these tensors are alive: its output and its workspace; every received tensor and every earlier output of
    the place that v or a later layer of the place reads, or that is kept. A place without layers holds the tensors that it passes
    on; the first place without layers needs no memory.
    """
    weights = sum(layer.held_bytes for layer in instance.layers if layer.name in stay.layers)
    kept = frozenset() if stay.is_first else stay.kept
    passed = sum(instance.tensor_bytes(name) for name in stay.received if name in kept)
    weights += _copies(instance, stay)
    return weights + max((n_bytes for _, n_bytes in _bytes_alive(instance, stay)), default=passed)


def place_memory(instance: Instance, upto: Sequence[frozenset[str]], p: int, model: MemoryModel = "sum") -> int:
    """The memory (B) that place p needs; `upto` has a down-closed set for each hop, the layers that run before it."""
    return (_sum if model == "sum" else _peak)(instance, _stay(instance, upto, p))


def edge_memory(instance: Instance, edge: frozenset[str], model: MemoryModel = "sum") -> int:
    """The memory (B) that the first place needs for a down-closed edge set, under a memory model."""
    return place_memory(instance, (edge,), 1, model)


def memory_sum(instance: Instance, edge: frozenset[str]) -> int:
    """The edge memory (B) under the model `sum`."""
    return edge_memory(instance, edge, "sum")


def peak_step(instance: Instance, edge: frozenset[str]) -> str | None:
    """The edge layer during which the most bytes are alive; None if there is no edge layer."""
    return max(_bytes_alive(instance, _stay(instance, (edge,), 1)), key=lambda step: step[1], default=(None, 0))[0]


def is_alive(instance: Instance, edge: frozenset[str], a: str, v: str) -> bool:
    """Whether an input or the output of an earlier a is alive while edge layer v runs."""
    position = {name: k for k, name in enumerate(instance.names)}
    readers = instance.consumers[a]
    return (a in instance.inputs or a in edge) and (a in instance.returned or any(r not in edge or position[r] >= position[v]
                                                                        for r in readers))


def _bytes_alive(instance: Instance, stay: _Stay) -> list[tuple[str, int]]:
    """For every layer of the place, in order, the bytes alive while it runs: one sweep, O(layers + arcs)."""
    position = {name: k for k, name in enumerate(instance.names)}
    kept = stay.kept
    freed: dict[int, int] = {}
    found: list[tuple[str, int]] = []
    alive = 0

    def hold(name: str, at: int) -> None:
        """Count a tensor until its last reader here has run (without one, until step `at`), or to the end if it is kept."""
        nonlocal alive
        alive += instance.tensor_bytes(name)
        if name not in kept:
            last = max((position[v] for v in instance.consumers[name] if v in stay.layers), default=at)
            freed[last] = freed.get(last, 0) + instance.tensor_bytes(name)

    for name in stay.received:
        hold(name, -1)
    alive -= freed.pop(-1, 0)
    for k, name in enumerate(instance.names):
        if name in stay.layers:
            hold(name, k)
            found.append((name, alive + instance.layers[k].workspace_bytes))
        alive -= freed.pop(k, 0)
    return found
