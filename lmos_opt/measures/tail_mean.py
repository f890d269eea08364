"""Means of the worst: `cvarNN`, and `mean`, the mean of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyomo.environ as pyo

from lmos_opt.formulation import Solution, derive, fresh
from lmos_opt.measures.measure import InScenarios, Matrix, Measure, Row, highest
from lmos_opt.measures.quantile import Quantile


@dataclass(frozen=True)
class TailMean(Measure):
    """The mean of the worst part of the weight; of all of it, the mean."""

    part: Fraction

    @property
    def is_linear(self) -> bool:  # type: ignore[override]
        """A mean's shares are the weights'."""
        return self.part == 1

    def shares(self, weights: Sequence[int]) -> list[Fraction]:
        """The part of each weight that belongs to the worst."""
        left, found = self.part * sum(weights), list[Fraction]()
        for weight in reversed(weights):
            found.append(min(left, Fraction(weight)))
            left -= found[-1]
        total = sum(found)
        return [one / total for one in reversed(found)]

    def each(self, values: Matrix, weights: Sequence[int]) -> Row:
        """The mean of each column's worst part. Weights are added from the worst value on, so that a small part loses no digits."""
        order = np.argsort(values, axis=0, kind="stable")[::-1]
        share = np.array(weights, dtype=float)[order] / float(sum(weights))
        before = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(share, axis=0)[:-1]])
        counted = np.clip(float(self.part) - before, 0.0, share)
        found: Row = (counted * np.take_along_axis(values, order, axis=0)).sum(axis=0) / counted.sum(axis=0)
        return found

    def expression(self, m: Any, spread: InScenarios) -> Any:
        """A boundary, and the amounts by which values exceed it."""
        tops, total = [highest(part) for part in spread.parts], self.part * sum(spread.weights)
        boundary = fresh(m, "boundary", pyo.Var(bounds=(0, max(tops))))
        beyond = fresh(m, "beyond", pyo.Var(list(range(len(spread.parts))), bounds=(0, max(tops))))
        rows = fresh(m, "tails", pyo.ConstraintList())
        for s, part in enumerate(spread.parts):
            rows.add(beyond[s] >= part - boundary)
        least = Quantile(1 - self.part)

        def values(split: Solution) -> list[float]:
            found = spread.values(split)
            quantile = least.of(found, spread.weights)
            return [quantile, *(max(value - quantile, 0.0) for value in found)]

        derive(m, [boundary, *beyond.values()], values, is_least=True)
        return boundary + sum(float(weight / total) * beyond[s] for s, weight in enumerate(spread.weights))
