"""Does a split change what a network says? One check for every cut, and a wrong crossing that it must catch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from measurement.networks import network_digest
from measurement.tracing import TracedNetwork, trace_network
from runner.parts.part import Crossing
from runner.parts.split import split_traced

Spoil = Callable[[Crossing], Crossing]


@dataclass(frozen=True)
class Classifier:
    """A classifier, its inputs in one batch, and for each input the classes that are right (empty: none is known)."""

    name: str
    traced: TracedNetwork
    digest: str
    inputs: Tensor
    right: tuple[frozenset[int], ...]
    logits: Tensor

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' names in topological order."""
        return tuple(layer.name for layer in self.traced.layers)

    @property
    def inputs_digest(self) -> str:
        """SHA-256 of the inputs' numbers."""
        return hashlib.sha256(self.inputs.numpy().tobytes()).hexdigest()


def classifier(name: str, module: nn.Module, inputs: Tensor, right: Sequence[frozenset[int]]) -> Classifier:
    """A network with its inputs, traced at that batch size, and what it says whole."""
    traced = trace_network(module, inputs, "module")
    with torch.inference_mode():
        logits = module(inputs)
    return Classifier(name, traced, network_digest(module, traced.structure), inputs, tuple(right), logits)


@dataclass(frozen=True)
class Check:
    """What splitting did: predictions that changed, inputs with any logit that differs in any bit, inputs judged right."""

    changed: int
    differing: int
    correct: int


def check(classifier: Classifier, cut: int, *spoils: Spoil) -> list[Check]:
    """Cut after the first `cut` layers, run both halves, compare with the whole network.

    One check for each of `spoils`, which may meddle with what crosses.
    """
    head, tail = split_traced(classifier.traced, classifier.layers[:cut])
    with torch.inference_mode():
        crossing = head(classifier.inputs)
        return [_compared(classifier, tail(spoil(crossing))) for spoil in spoils]


def _compared(classifier: Classifier, logits: Tensor) -> Check:
    return Check(int((logits.argmax(1) != classifier.logits.argmax(1)).sum()),
                 int((logits != classifier.logits).flatten(1).any(1).sum()), correct(classifier, logits))


def correct(classifier: Classifier, logits: Tensor) -> int:
    """Inputs whose class is among the right ones."""
    return sum(int(k) in right for k, right in zip(logits.argmax(1), classifier.right, strict=True))


def as_it_is(crossing: Crossing) -> Crossing:
    """The crossing untouched."""
    return crossing


def rolled(crossing: Crossing) -> Crossing:
    """A wrong crossing: every tensor's channels moved on by one, those of what stays too."""
    def moved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.roll(1, 1) if tensor.dim() > 1 else tensor for name, tensor in tensors.items()}

    return Crossing(moved(crossing), crossing.scalars, moved(crossing.kept))
