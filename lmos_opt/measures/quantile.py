"""Quantiles: `pNN`, and `worst`, which is p100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from lmos_opt.formulation import Solution, derive, fresh
from lmos_opt.measures.measure import InScenarios, Matrix, Measure, Row, highest

_EXACT = 2**53
"""Whole numbers above it are rounded."""


@dataclass(frozen=True)
class Quantile(Measure):
    """The least value that at least a part of the weight does not exceed."""

    part: Fraction

    def shares(self, weights: Sequence[int]) -> list[Fraction]:
        """1 for the first value with so much weight up to it."""
        total, so_far, found = sum(weights), 0, [Fraction(0)] * len(weights)
        for k, weight in enumerate(weights):
            so_far += weight
            if so_far >= self.part * total:
                found[k] = Fraction(1)
                break
        return found

    def each(self, values: Matrix, weights: Sequence[int]) -> Row:
        """The first value of each column with so much weight up to it."""
        order = np.argsort(values, axis=0, kind="stable")
        up_to: NDArray[Any] = np.cumsum(np.array(weights, dtype=_whole_type(weights))[order], axis=0)
        first = np.argmax(up_to >= ceil(self.part * sum(weights)), axis=0)[None]
        found: Row = np.take_along_axis(values, np.take_along_axis(order, first, axis=0), axis=0)[0]
        return found

    def expression(self, m: Any, spread: InScenarios) -> Any:
        """A variable that is at least the values of all scenarios, except of some with little enough weight together."""
        tops, weights = [highest(part) for part in spread.parts], spread.weights
        most = floor((1 - self.part) * sum(weights))  # weight that may exceed it
        may = [s for s, weight in enumerate(weights) if weight <= most]
        quantile = fresh(m, "quantile", pyo.Var(bounds=(0, max(tops))))
        exceeds = fresh(m, "exceeds", pyo.Var(may, domain=pyo.Binary))
        rows = fresh(m, "quantiles", pyo.ConstraintList())
        for s, part in enumerate(spread.parts):
            rows.add(quantile >= (part - tops[s] * exceeds[s] if s in exceeds else part))
        for s in may:
            for t in may:
                if s != t and spread.no_worse(s, t) and (s < t or not spread.no_worse(t, s)):
                    rows.add(exceeds[s] <= exceeds[t])
        if may:
            unit = max(1, -(-sum(weights) // _EXACT))  # larger numbers would be rounded: to where no solution is lost
            rows.add(sum(weights[s] // unit * exceeds[s] for s in may) <= -(-most // unit))

        def values(split: Solution) -> list[float]:
            found = spread.values(split)
            quantile_of_them = self.of(found, weights)
            return [float(found[s] > quantile_of_them) for s in may]

        derive(m, [exceeds[s] for s in may], values)
        derive(m, [quantile], lambda split: [self.of(spread.values(split), weights)], is_least=True)
        return quantile


def _whole_type(weights: Sequence[int]) -> type:
    """What sums of the weights are exact in."""
    return np.int64 if sum(weights) < 2**62 else object
