"""`Sum`: a linear quantity of splits in numbers alone: a share for each layer that runs before a hop, for each tensor that crosses
it, for the hop's use, and for each tensor that a place encodes or decodes. It is what an objective's expression says on the model,
without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["upto", "sent", "offload", "encoded", "decoded"]
"""The first three are variables of a hop, the last two of a place."""


@dataclass(frozen=True, eq=False)
class Term:
    """`factor * sum(weights[k] * x[k])`, x being a hop's or place's variables of a kind: of layers, tensors, or the only one."""

    kind: Kind
    at: int
    weights: Array
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Sum:
    """Terms and a constant; sums are added, and multiplied by numbers."""

    terms: tuple[Term, ...] = ()
    constant: float = 0.0

    def __add__(self, other: Sum) -> Sum:
        return Sum((*self.terms, *other.terms), self.constant + other.constant)

    def __rmul__(self, factor: float) -> Sum:
        return Sum(tuple(replace(term, factor=factor * term.factor) for term in self.terms), factor * self.constant)

    @property
    def size(self) -> float:
        """What it adds up in absolute value at most."""
        return abs(self.constant) + sum(abs(term.factor) * float(np.abs(term.weights).sum()) for term in self.terms)

    @property
    def spread(self) -> float:
        """How far it can move if all its variables are free: the widths of the model's form."""
        joined: dict[tuple[Kind, int], Array] = {}
        for term in self.terms:
            joined[term.kind, term.at] = joined.get((term.kind, term.at), 0.0) + term.factor * term.weights
        return sum(float(np.abs(weights).sum()) for weights in joined.values())


def total(parts: Sequence[Sum]) -> Sum:
    """All of them together."""
    return Sum(tuple(term for part in parts for term in part.terms), sum(part.constant for part in parts))
