"""The memory that a place needs in every split, by either memory model: whole bytes, in arrays with an entry a split.

It is `lmos_opt.formulation.memory` for all splits at once.
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
    """What a place has to do with, of each split: all layers up to it, its own, and those before it, as bits (words, splits)."""

    instance: Instance
    shape: Shape
    upto: Words
    here: Words
    before: Words
    is_first: bool

    def received(self, name: str) -> Flags | None:
        """Which splits have the place receive a tensor, or hold an input at the first; None where none does."""
        if self.is_first:
            return np.ones(self.upto.shape[1], dtype=bool) if name in self.instance.inputs else None
        return self._crosses(self.before, name)

    def kept(self, name: str) -> Flags:
        """In which splits a tensor that is there is kept to the end."""
        found = self._crosses(self.upto, name)
        if self.is_first and name in self.instance.returned:
            found |= holds(self.upto, self.shape.position[name])
        return found

    def _crosses(self, sets: Words, name: str) -> Flags:
        found = ~holds_all(sets, self.shape.bits(self.instance.consumers[name]))
        return found if name in self.instance.inputs else found & holds(sets, self.shape.position[name])


def stays_at(instance: Instance, shape: Shape, p: int) -> Stays:
    """What place p has to do with, of each split."""
    everything = shape.bits(shape.names)[:, None]
    before = shape.sets[:, shape.chosen[p - 2]] if p > 1 else np.zeros((len(shape.sets), len(shape)), dtype=np.uint64)
    upto = shape.sets[:, shape.chosen[p - 1]] if p <= len(shape.chosen) else np.broadcast_to(everything, before.shape)
    return Stays(instance, shape, upto, upto & ~before, before, p == 1)


def summed(instance: Instance, shape: Shape, p: int) -> Whole:
    """Weights and outputs of the place's layers, and what it receives; at the first place the inputs that layers there hold."""
    stays = stays_at(instance, shape, p)
    found = np.zeros(len(shape), dtype=np.int64)
    for k, layer in enumerate(instance.layers):
        found += (layer.held_bytes + layer.output_bytes) * holds(stays.here, k)
    if p == 1:
        for name, n_bytes in instance.inputs.items():
            found += n_bytes * holds_any(stays.here, shape.bits(instance.holders[name]))
        return found
    found += _copies(stays)
    for name in instance.tensors:
        received = stays.received(name)
        assert received is not None
        found += instance.tensor_bytes(name) * received
    return found


def _copies(stays: Stays) -> Whole:
    """Weights that layers of the place share with layers of earlier places."""
    found = np.zeros(stays.here.shape[1], dtype=np.int64)
    for k, layer in enumerate(stays.instance.layers):
        for name, n_bytes in layer.shared.items():
            found += n_bytes * (holds(stays.here, k) & holds(stays.before, stays.shape.position[name]))
    return found


def most_alive(instance: Instance, shape: Shape, p: int) -> Whole:
    """The place's weights and the most bytes alive while one of its layers runs; without layers what it passes on.

    A tensor that is not kept goes after its last reader at the place, and one that nobody there reads after its own step.
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
    """In which splits a tensor is needed no more once layer k, which makes or reads it, has run there."""
    shape = stays.shape
    later = [v for v in stays.instance.consumers[name] if shape.position[v] > k]
    return runs & ~stays.kept(name) & ~holds_any(stays.here, shape.bits(later))
