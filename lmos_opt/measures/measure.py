"""A measure adds up a split's values in all scenarios, from the best to the worst, with shares that the weights decide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmos_opt.formulation import Solution

Matrix = NDArray[np.float64]
Row = NDArray[Any]


@dataclass(frozen=True)
class InScenarios:
    """A quantity on a model: its expression in each scenario, the scenarios' `weights` as whole numbers, whether one is `no_worse`
    than another (by their positions), and its `values` in all of them at a split."""

    parts: Sequence[Any]
    weights: Sequence[int]
    no_worse: Callable[[int, int], bool]
    values: Callable[[Solution], Sequence[float]]


class Measure(ABC):
    """What is made of values in scenarios."""

    is_linear = False
    """Whether shares are the same in whatever order the values come."""

    @abstractmethod
    def shares(self, weights: Sequence[int]) -> list[Fraction]:
        """By how much each value counts, given their weights from the least value to the greatest; they sum to 1."""

    @abstractmethod
    def each(self, values: Matrix, weights: Sequence[int]) -> Row:
        """The measure of each column, of shape (scenarios, splits)."""

    @abstractmethod
    def expression(self, m: Any, spread: InScenarios) -> Any:
        """The measure on the model, of the quantity's expression in each scenario: minimised or bounded from above, it is that."""

    def of(self, values: Sequence[float], weights: Sequence[int]) -> float:
        """The measure of values, one a scenario, exactly summed."""
        order = sorted(range(len(values)), key=lambda k: values[k])
        shares = self.shares([weights[k] for k in order])
        return float(sum(share * Fraction(values[k]) for k, share in zip(order, shares, strict=True) if share))


def highest(expression: Any) -> float:
    """No value of a linear expression is above it, whatever its variables are within their bounds."""
    from pyomo.repn import generate_standard_repn

    found = generate_standard_repn(expression)
    ends = [c * (v.ub if c > 0 else v.lb) for c, v in zip(found.linear_coefs, found.linear_vars, strict=True)]
    return max(float(found.constant) + sum(map(float, ends)), 0.0) * (1 + 1e-9) + 1e-9
