"""The parts of a subproblem: the solutions that it may give, and the limits under which it is solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmos_opt.programs.milp import Array


@dataclass(frozen=True)
class Candidate:
    """A solution: its variables with rounded integers, and its exact costs (every sense turned to min)."""

    x: Array
    costs: tuple[float, ...]


@dataclass(frozen=True)
class Limit:
    """An upper limit on a cost: at most the value, or strictly below it."""

    value: float
    strict: bool

    def admits(self, costs: float | Array, resolution: float) -> bool | NDArray[np.bool_]:
        """Whether a cost is within the limit, or which costs are, if costs must differ by this much to be different."""
        return costs < self.value - resolution if self.strict else costs - resolution <= self.value


def below(value: float) -> Limit:
    """Strictly below the value."""
    return Limit(value, True)


def at_most(value: float) -> Limit:
    """The value or below."""
    return Limit(value, False)


def exceeded(costs: tuple[float, ...] | None, limits: Mapping[int, Limit], resolution: Array, names: Sequence[str]) -> str:
    """The first limit that the costs exceed, in words; without costs, the model's own check failed."""
    if costs is None:
        return "a constraint of the model"
    return next(f"the limit {limit.value:.17g} of objective {names[k] if names else k}"
                for k, limit in limits.items() if not limit.admits(costs[k], float(resolution[k])))
