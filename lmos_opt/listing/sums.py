"""`Sum`: a linear quantity of splits as numbers. It equals an objective's expression, but needs no Pyomo model.

It has a weight for each layer that runs before a hop, for each tensor that crosses the hop, for the use of the hop, and for each
tensor that a place encodes or decodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["upto", "sent", "offload", "encoded", "decoded"]
"""The variables of a term. The first three kinds belong to a hop, the last two to a place."""


@dataclass(frozen=True, eq=False)
class Term:
    """`factor * sum(weights[k] * x[k])`. x are the variables of one kind at the hop or place `at` (from 1).

    There is one variable for each layer (`upto`), one for each tensor, or a single one (`offload`).
    """

    kind: Kind
    at: int
    weights: Array
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Sum:
    """Terms and a constant. Sums can be added, and multiplied by a number."""

    terms: tuple[Term, ...] = ()
    constant: float = 0.0

    def __add__(self, other: Sum) -> Sum:
        return Sum((*self.terms, *other.terms), self.constant + other.constant)

    def __rmul__(self, factor: float) -> Sum:
        return Sum(tuple(replace(term, factor=factor * term.factor) for term in self.terms), factor * self.constant)

    @property
    def size(self) -> float:
        """The sum of the absolute values of the constant and all weights: no value of the sum is larger in size."""
        return abs(self.constant) + sum(abs(term.factor) * float(np.abs(term.weights).sum()) for term in self.terms)

    @property
    def spread(self) -> float:
        """The largest value minus the least one if every variable may be 0 or 1: the spread of the model's form."""
        joined: dict[tuple[Kind, int], Array] = {}
        for term in self.terms:
            joined[term.kind, term.at] = joined.get((term.kind, term.at), 0.0) + term.factor * term.weights
        return sum(float(np.abs(weights).sum()) for weights in joined.values())


def total(parts: Sequence[Sum]) -> Sum:
    """The sum of several sums."""
    return Sum(tuple(term for part in parts for term in part.terms), sum(part.constant for part in parts))
