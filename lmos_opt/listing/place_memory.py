"""The memory (B) that a place needs in every split, under each memory model. All arrays have the shape (splits,).

The models are those of `lmos_opt.formulation.memory`, computed for all splits at once (docs/reference/objectives.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmos_opt.instance import Instance
from lmos_opt.listing.shapes import Flags, Shape, holds, holds_all, holds_any
from lmos_opt.placement.down_sets import Words

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stays:
    """The layers up to a place, at the place, and before it, in each split: as bits, shape (words, splits)."""

    instance: Instance
    shape: Shape
    upto: Words
    here: Words
    before: Words
    is_first: bool

    def received(self, name: str) -> Flags | None:
        """In which splits the place receives a tensor; at the first place, each input counts as received. None: in no split."""
        if self.is_first:
            return np.ones(self.upto.shape[1], dtype=bool) if name in self.instance.inputs else None
        return self._crosses(self.before, name)

    def kept(self, name: str) -> Flags:
        """In which splits the place keeps a tensor to the end, because it is sent on or (at the first place) returned."""
        found = self._crosses(self.upto, name)
        if self.is_first and name in self.instance.returned:
            found |= holds(self.upto, self.shape.position[name])
        return found

    def _crosses(self, sets: Words, name: str) -> Flags:
        found = ~holds_all(sets, self.shape.bits(self.instance.consumers[name]))
        return found if name in self.instance.inputs else found & holds(sets, self.shape.position[name])


def stays_at(instance: Instance, shape: Shape, p: int) -> Stays:
    """The layers up to, at and before place p (from 1), in each split."""
    everything = shape.bits(shape.names)[:, None]
    before = shape.sets[:, shape.chosen[p - 2]] if p > 1 else np.zeros((len(shape.sets), len(shape)), dtype=np.uint64)
    upto = shape.sets[:, shape.chosen[p - 1]] if p <= len(shape.chosen) else np.broadcast_to(everything, before.shape)
    return Stays(instance, shape, upto, upto & ~before, before, p == 1)


def summed(instance: Instance, shape: Shape, p: int) -> Whole:
    """The memory (B) of place p under `sum`: weights and outputs of its layers, and all tensors that it receives.

    At the first place: the inputs that its layers read, in place of received tensors.
    """
    stays = stays_at(instance, shape, p)
    found = np.zeros(len(shape), dtype=np.int64)
    for k, layer in enumerate(instance.layers):
        found += (layer.held_bytes + layer.output_bytes) * holds(stays.here, k)
    found += _copies(stays)
    if p == 1:
        for name, n_bytes in instance.inputs.items():
            found += n_bytes * holds_any(stays.here, shape.bits(instance.holders[name]))
        return found
    for name in instance.tensors:
        received = stays.received(name)
        assert received is not None
        found += instance.tensor_bytes(name) * received
    return found


def _copies(stays: Stays) -> Whole:
    """The bytes of weights that layers of the place share with layers of other places, so that the place holds a copy."""
    found = np.zeros(stays.here.shape[1], dtype=np.int64)
    for k, layer in enumerate(stays.instance.layers):
        for weights in layer.shared:
            found += weights.bytes * (holds(stays.here, k) & ~holds_any(stays.here, stays.shape.bits(weights.layers)))
    return found


def most_alive(instance: Instance, shape: Shape, p: int) -> Whole:
    """The memory (B) of place p under `peak`: its weights, and the most bytes that are alive while one of its layers runs.

    A tensor that is not kept is freed after its last reader at the place. A tensor without a reader there is freed after the layer
    that makes it. A place without layers holds the tensors that it passes on.
    """
    stays = stays_at(instance, shape, p)
    n = len(shape)
    weights, alive, most = (np.zeros(n, dtype=np.int64) for _ in range(3))
    passed = np.zeros(n, dtype=np.int64)
    for name in instance.tensors:
        received = stays.received(name)
        if received is None:
            continue
        kept = stays.kept(name)
        is_read = holds_any(stays.here, shape.bits(instance.consumers[name]))
        alive += instance.tensor_bytes(name) * (received & (kept | is_read))
        if p > 1:
            passed += instance.tensor_bytes(name) * (received & kept)
    for k, layer in enumerate(instance.layers):
        runs = holds(stays.here, k)
        weights += layer.held_bytes * runs
        alive += layer.output_bytes * runs
        np.maximum(most, alive + layer.workspace_bytes, out=most, where=runs)
        for name in dict.fromkeys((*layer.inputs, layer.name)):
            alive -= instance.tensor_bytes(name) * _goes(stays, name, k, runs)
    has_layers = holds_any(stays.here, shape.bits(shape.names))
    weights += _copies(stays)
    found: Whole = weights + np.where(has_layers, most, passed)
    return found


def _goes(stays: Stays, name: str, k: int, runs: Flags) -> Flags:
    """In which splits the place frees a tensor after layer k, which makes or reads it."""
    shape = stays.shape
    later = [v for v in stays.instance.consumers[name] if shape.position[v] > k]
    return runs & ~stays.kept(name) & ~holds_any(stays.here, shape.bits(later))
