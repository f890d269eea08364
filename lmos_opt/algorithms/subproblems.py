"""What a subproblem is about: the solutions it may give, and the limits that it is solved under."""

from __future__ import annotations

from dataclasses import dataclass

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


def below(value: float) -> Limit:
    """Strictly below the value."""
    return Limit(value, True)


def at_most(value: float) -> Limit:
    """The value or below."""
    return Limit(value, False)
