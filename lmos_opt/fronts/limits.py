"""Constraints that say how much of an objective is admitted: `latency` at most 0.2 s, `fidelity_loss` at most 1 %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmos_opt import objectives
from lmos_opt.errors import InputError
from lmos_opt.formulation.named import shipped_expression
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.units import parse_percent, parse_size, parse_time

SIGN = "<="


@dataclass(frozen=True)
class AtMost:
    """A constraint for `constraints=`: the objective, by its name or one of a user's own, is at most a number in its unit."""

    objective: str | Objective
    most: float

    @property
    def __name__(self) -> str:
        """How messages name it."""
        name = self.objective if isinstance(self.objective, str) else self.objective.name
        return f"{name} at most {self.most:g}"

    def __call__(self, m: Any, instance: Instance) -> Any:
        """The relation on the model."""
        if isinstance(self.objective, Objective):
            return self.objective.expression(m, instance) <= self.most
        return shipped_expression(m, instance, objectives.get(self.objective)) <= self.most


def at_most(text: str, what: str = "at most") -> AtMost:
    """The constraint of a text such as `latency<=200ms` or `fidelity_loss<=1%`; InputError about `what` for others."""
    name, sign, amount = text.partition(SIGN)
    if not sign or not name.strip() or not amount.strip():
        raise InputError(what, f"{text!r:.80} is no limit; expected NAME=AMOUNT such as fidelity_loss=1% or latency=200ms")
    objective = objectives.get(name.strip())
    return AtMost(objective.name, _amount(amount.strip(), objective.unit, f"{what}, {objective.name}"))


def _amount(text: str, unit: str, what: str) -> float:
    """A number in a unit."""
    if unit == "s":
        return parse_time(text, what)
    if unit == "B":
        return parse_size(text, what)
    if text.endswith("%"):
        return parse_percent(text, what) / 100
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not 0 <= found < float("inf"):
        unit = f" in {unit}" if unit else ", or N%"
        raise InputError(what, f"{text!r:.60} is no amount; expected a number of at least zero{unit}")
    return found
