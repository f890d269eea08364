"""What counts as a loss: an output beside the one of the network whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from runner.parts.network import class_in, logits_of

Criterion = Literal["labels", "classes", "outputs"]
Outputs = Mapping[str, Tensor]
_ALL = 1.0
"""The error of outputs of which nothing is left: they are no numbers."""


@dataclass(frozen=True)
class Expected:
    """What the network whole makes of an input, and the classes that are right, where they are known."""

    outputs: Outputs
    right: frozenset[int] | None = None

    @property
    def logits(self) -> Tensor | None:
        """What says the class; None of a network that does not classify."""
        return logits_of(self.outputs)

    @property
    def is_right(self) -> bool:
        """Whether its class is among the right ones."""
        logits = self.logits
        return self.right is not None and logits is not None and class_in(logits) in self.right


@dataclass
class Tally:
    """Losses of inputs so far: whether each is lost (0 or 1, or its error), how far outputs were off, and which classes were right
    then."""

    criterion: Criterion
    lost: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def add(self, expected: Expected, outputs: Outputs | None) -> None:
        """One more input; outputs None: they are those of the network whole, bit for bit."""
        off = 0.0 if outputs is None else error_of(expected.outputs, outputs)
        logits = expected.logits if outputs is None else logits_of(outputs)
        found = None if logits is None else class_in(logits)
        is_right = expected.right is not None and found in expected.right
        if self.criterion == "outputs":
            lost = off
        elif self.criterion == "labels":
            lost = float(expected.is_right and not is_right)
        else:
            lost = float(expected.logits is None or found != class_in(expected.logits))
        self.lost.append(lost)
        self.errors.append(off)
        self.right.append(is_right)

    @property
    def loss(self) -> float:
        """The mean of what is lost."""
        return mean(self.lost)

    @property
    def error(self) -> float:
        """The mean of errors."""
        return mean(self.errors)


def criterion_of(expected: Expected) -> Criterion:
    """What counts as a loss for such a network and such inputs."""
    if expected.logits is None:
        return "outputs"
    return "classes" if expected.right is None else "labels"


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of none."""
    return sum(values) / len(values) if values else 0.0


def error_of(expected: Outputs, found: Outputs) -> float:
    """How far outputs are off: the length of their difference over that of what was expected, at most 1e6. Numbers that are none in
    both do not count; in one of them, or where shapes differ, all is lost."""
    difference = length = 0.0
    for name, wanted in expected.items():
        other = found.get(name)
        if other is None or other.shape != wanted.shape:
            return _ALL
        a, b = wanted.detach().to(torch.complex128).flatten(), other.detach().to(torch.complex128).flatten()
        is_same = (a == b) | (a.isnan() & b.isnan())
        a, b = a[~is_same], b[~is_same]
        if not bool(a.isfinite().all() and b.isfinite().all()):
            return _ALL
        difference += float((a - b).abs().square().sum())
        finite = wanted.detach().to(torch.complex128).flatten()
        length += float(finite[finite.isfinite()].abs().square().sum())
    if difference == 0:
        return 0.0
    return min((difference / length) ** 0.5, 1e6) if length else _ALL
