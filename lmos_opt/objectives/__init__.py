"""Objectives: one file each. `objectives/NAME.py` holds `OBJECTIVE`; naming it is all the registration there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from lmos_opt.errors import InputError

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
        if self.sense not in ("min", "max"):
            raise InputError(f"objective {self.name}", f"sense is {self.sense!r}; expected 'min' or 'max'")


def names() -> list[str]:
    """The shipped objectives."""
    return sorted(module.name for module in iter_modules(__path__))


def get(objective: str | Objective) -> Objective:
    """An objective as it is, or by its name."""
    if isinstance(objective, Objective):
        return objective
    if objective not in names():
        raise InputError("objectives", f"{objective!r} is not an objective; there are {', '.join(names())}")
    found: Objective = import_module(f"{__name__}.{objective}").OBJECTIVE
    return found
