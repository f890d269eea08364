"""A quantity over scenarios. It has a linear expression if all splits order the scenarios in the same way.

They do if each scenario is no worse than the next one in every bandwidth and time. Then a measure has a fixed share for each
scenario, and is a linear sum of the quantity in the scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lmos_opt.formulation import Solution
from lmos_opt.listing.splits import EPSILON, Listed, Splits
from lmos_opt.measures.measure import InScenarios, Measure, Row
from lmos_opt.scenarios.ordering import best_first, no_worse, whole_weights
from lmos_opt.split import Split

if TYPE_CHECKING:
    from lmos_opt.instance import Instance

_AT_ONCE = 10_000
"""The number of splits whose scenarios are sorted together."""


@dataclass(frozen=True, eq=False)
class Spread:
    """A quantity in the scenarios of an instance, and a measure of it.

    The quantity is given as in an objective: `value` for one split, `model` as an expression, `listed` for all splits.
    """

    measure: Measure
    instance: Instance
    value: Callable[[Split], float]
    model: Callable[[Any, Instance], Any]
    listed: Callable[[Splits], Listed]

    @cached_property
    def weights(self) -> list[int]:
        """The scenarios' weights, in whole numbers."""
        return whole_weights(self.instance.scenarios)

    @cached_property
    def fixed(self) -> list[tuple[Instance, Fraction]] | None:
        """The scenarios that count, as instances, and their shares, if these are the same for all splits; otherwise None."""
        scenarios = self.instance.scenarios
        order = list(range(len(scenarios))) if self.measure.is_linear else best_first(scenarios)
        if order is None:
            return None
        shares = self.measure.shares([self.weights[k] for k in order])
        return [(self.instance.in_scenarios[k], share) for k, share in zip(order, shares, strict=True) if share]

    def values_at(self, split: Solution) -> list[float]:
        """The quantity of a split in each scenario."""
        return [self.value(Split.of(instance, split.upto)) for instance in split.instance.in_scenarios]

    def at(self, split: Split) -> float:
        """The measure at a split."""
        if self.fixed is None:
            return self.measure.of(self.values_at(split), self.weights)
        return float(sum(share * Fraction(self.value(Split.of(instance, split.upto))) for instance, share in self.fixed))

    def expression(self, m: Any) -> Any:
        """The measure on the model."""
        if self.fixed is not None:
            return sum(float(share) * self.model(m, instance) for instance, share in self.fixed)
        scenarios = self.instance.scenarios
        parts = [self.model(m, instance) for instance in self.instance.in_scenarios]
        return self.measure.expression(m, InScenarios(parts, self.weights, lambda s, t: no_worse(scenarios[s], scenarios[t]),
                                                      self.values_at))  # fmt: skip

    def each(self, splits: Splits) -> Listed:
        """The measure of all splits."""
        if self.fixed is not None:
            found = [self.listed(splits.of_another(instance)) for instance, _ in self.fixed]
            if len(found) == 1:
                return found[0]
            shares = [float(share) for _, share in self.fixed]
            parts = list(zip(shares, found, strict=True))
            values = np.asarray(sum(share * one.values for share, one in parts))
            return self._rounded(values, found, sum(share * one.spread for share, one in parts))
        found = [self.listed(splits.of_another(instance)) for instance in self.instance.in_scenarios]
        matrix = np.array([one.values for one in found], dtype=float)
        n = matrix.shape[1]
        values = np.concatenate([np.zeros(0), *(self.measure.each(matrix[:, k : k + _AT_ONCE], self.weights)
                                                for k in range(0, n, _AT_ONCE))])  # fmt: skip
        return self._rounded(values, found, max(one.spread for one in found))

    def _rounded(self, values: Row, found: Sequence[Listed], spread: float) -> Listed:
        """Values with their largest error: the largest error of a quantity that they are made of, and the rounding of their sum."""
        largest = max((float(np.abs(one.values).max(initial=0.0)) for one in found), default=0.0)
        return Listed(values, max(one.off for one in found) + (len(found) + 8) * EPSILON * largest, spread)
