"""A measure adds up a split's values in all scenarios, ordered from the best to the worst, with shares that follow from the
weights."""

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
    """A quantity on a model: its expression in each scenario, the scenarios' `weights` as whole numbers, whether one scenario is
    `no_worse` than another (by their positions), and the `values` of a split in all of them."""

    parts: Sequence[Any]
    weights: Sequence[int]
    no_worse: Callable[[int, int], bool]
    values: Callable[[Solution], Sequence[float]]


class Measure(ABC):
    """One number from the values in all scenarios."""

    is_linear = False
    """Whether the shares are the same for every order of the values."""

    @abstractmethod
    def shares(self, weights: Sequence[int]) -> list[Fraction]:
        """The share with which each value counts, given their weights from the least value to the greatest; they sum to 1."""

    @abstractmethod
    def each(self, values: Matrix, weights: Sequence[int]) -> Row:
        """The measure of each column, of shape (scenarios, splits)."""

    @abstractmethod
    def expression(self, m: Any, spread: InScenarios) -> Any:
        """The measure on the model, given the quantity's expression in each scenario: correct if it is minimised or bounded from
        above."""

    def of(self, values: Sequence[float], weights: Sequence[int]) -> float:
        """The measure of values, one for each scenario, exactly summed."""
        order = sorted(range(len(values)), key=lambda k: values[k])
        shares = self.shares([weights[k] for k in order])
        return float(sum(share * Fraction(values[k]) for k, share in zip(order, shares, strict=True) if share))


def highest(expression: Any) -> float:
    """No value of a linear expression is above it, whatever its variables are within their bounds."""
    from pyomo.repn import generate_standard_repn

    found = generate_standard_repn(expression)
    ends = [c * (v.ub if c > 0 else v.lb) for c, v in zip(found.linear_coefs, found.linear_vars, strict=True)]
    return max(float(found.constant) + sum(map(float, ends)), 0.0) * (1 + 1e-9) + 1e-9
