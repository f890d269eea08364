"""Objectives: one file each. `objectives/NAME.py` holds `OBJECTIVE`; naming it is all the registration there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from lmos_opt.errors import InputError
from lmos_opt.imports import modules_of

if TYPE_CHECKING:
    from lmos_opt.instance import Instance
    from lmos_opt.split import Split


@dataclass(frozen=True)
class Objective:
    """An objective of the split: a linear expression over the model, with its unit and sense.

    `expression(m, instance)` may use `m.edge[name]`, `m.sent[name]` (with `"input"`), `m.offload`, `m.memory` and
    `m.layers`. `value(split)`, where given, is the same from the edge set alone, exactly summed; without it the
    expression is evaluated at the edge set. `granule(instance)`, where given, is a number of which all differences of
    values are whole multiples; it makes bounds exact where the expression alone does not prove it.
    """

    name: str
    unit: str
    sense: Literal["min", "max"]
    expression: Callable[[Any, Instance], Any]
    value: Callable[[Split], float] | None = None
    granule: Callable[[Instance], float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or self.name != self.name.strip():
            raise InputError("objective", f"name is {self.name!r}; expected text without blanks around it")
        what = f"objective {self.name}"
        if self.sense not in ("min", "max"):
            raise InputError(what, f"sense is {self.sense!r}; expected 'min' or 'max'")
        if not isinstance(self.unit, str):
            raise InputError(what, f"unit is {self.unit!r}; expected text")
        if not callable(self.expression):
            raise InputError(what, f"expression is {self.expression!r:.60}; expected a function (m, instance) that gives a linear "
                                   "expression")
        for part, argument in (("value", "split"), ("granule", "instance")):
            if not (getattr(self, part) is None or callable(getattr(self, part))):
                raise InputError(what, f"{part} is {getattr(self, part)!r:.60}; expected a function ({argument}), or None")


def names() -> list[str]:
    """The shipped objectives."""
    return list(modules_of(*__path__))


def get(objective: str | Objective) -> Objective:
    """An objective as it is, or by its name."""
    if isinstance(objective, Objective):
        return objective
    if objective not in names():
        raise InputError("objectives", f"{objective!r:.60} is not an objective; there are {', '.join(names())}")
    found: Objective = import_module(f"{__name__}.{objective}").OBJECTIVE
    return found
