"""Losses of single inputs: their outputs compared with those of the undivided network."""

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
"""The error of outputs that are lost completely: numbers that are not finite, or another shape."""


@dataclass(frozen=True)
class Expected:
    """The outputs of the undivided network for an input, and the right classes if they are known."""

    outputs: Outputs
    right: frozenset[int] | None = None

    @property
    def logits(self) -> Tensor | None:
        """The output that gives the class; None for a network that does not classify."""
        return logits_of(self.outputs)

    @property
    def is_right(self) -> bool:
        """Whether the undivided network's class is a right one."""
        logits = self.logits
        return self.right is not None and logits is not None and class_in(logits) in self.right


@dataclass
class Tally:
    """The losses of the inputs so far: for each input its loss (0 or 1, or its error), the error of its outputs, and whether its
    class was right.
    """

    criterion: Criterion
    lost: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def add(self, expected: Expected, outputs: Outputs | None) -> None:
        """Add an input. `outputs` None: they are bit for bit those of the undivided network."""
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
        """The mean loss."""
        return mean(self.lost)

    @property
    def error(self) -> float:
        """The mean error of outputs."""
        return mean(self.errors)


def criterion_of(expected: Expected) -> Criterion:
    """The criterion for a network and its inputs, from what is expected of one of them."""
    if expected.logits is None:
        return "outputs"
    return "classes" if expected.right is None else "labels"


def mean(values: Sequence[float]) -> float:
    """The mean; 0 without values."""
    return sum(values) / len(values) if values else 0.0


def error_of(expected: Outputs, found: Outputs) -> float:
    """The error of outputs: the length of the difference as a vector, divided by the length of what was expected, at most 1e6.

    Numbers that are not finite and the same in both do not count. If they differ, or if shapes differ, the error is 1.
    """
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
