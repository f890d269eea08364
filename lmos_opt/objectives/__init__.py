"""Objectives: one file for each. `objectives/NAME.py` holds `OBJECTIVE`; the file's name registers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import gcd
from typing import TYPE_CHECKING, Any, Literal

from lmos_opt.errors import InputError, likely
from lmos_opt.imports import modules_of
from lmos_opt.units import counted, one_to, whole_of

if TYPE_CHECKING:
    from lmos_opt.instance import Instance
    from lmos_opt.listing.splits import Listed, Splits
    from lmos_opt.split import Split


@dataclass(frozen=True)
class Objective:
    """An objective of the split: a linear expression over the model, with its unit and sense.

    `expression(m, instance)` may use `m.edge[name]`, `m.sent[name]` (with the inputs' names), `m.offload`, `m.memory` and
    `m.layers`; for more than two places `m.upto[hop, name]`, `m.at[place, name]`, `m.sent[hop, name]` and `m.offload[hop]`. The
    other functions are optional. `value(split)` gives the same value from where layers run, exactly summed; without it the
    expression is evaluated at the edge set. `granule(instance)` is a number of which all differences of values are whole multiples;
    it makes bounds exact if the expression alone does not prove it. `each(splits)` gives the values of all splits at once, in an
    array, which makes an enumeration fast. `grows` says of a shipped objective that it never falls if a place or a hop takes
    longer: only then it may be asked for over scenarios, as in `latency@p95`.
    """

    name: str
    unit: str
    sense: Literal["min", "max"]
    expression: Callable[[Any, Instance], Any]
    value: Callable[[Split], float] | None = None
    granule: Callable[[Instance], float] | None = None
    each: Callable[[Splits], Listed] | None = None
    grows: bool = False

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
        for part, argument in (("value", "split"), ("granule", "instance"), ("each", "splits")):
            if not (getattr(self, part) is None or callable(getattr(self, part))):
                raise InputError(what, f"{part} is {getattr(self, part)!r:.60}; expected a function ({argument}), or None")


NUMBERED = {"place_time": "place", "tx_bytes": "hop", "footprint": "place"}
"""Objectives of one place or hop, `NAME:N`, with the noun that N counts; the first one has no number in its name."""


OF_TOKENS = ("ttft", "tpot")
"""Objectives for instances with tokens only."""


@dataclass(frozen=True)
class Numbered:
    """A place or a hop by its number in an objective's name."""

    name: str
    number: int

    def of(self, instance: str, those: Sequence[object]) -> int:
        """The number; InputError if the instance has fewer of them."""
        if self.number > len(those):
            raise InputError(f"objective {self.name}:{self.number}", f"{instance} has "
                             f"{counted(len(those), NUMBERED[self.name])}; expected {one_to(len(those))}")  # fmt: skip
        return self.number


def numbered(name: str, argument: str) -> Numbered:
    """The number in `NAME:N`; InputError for anything else."""
    found = whole_of(argument)
    if not found:
        raise InputError("objectives", f"{name}:{argument:.60}: {argument!r:.60} is not a whole number from 1 on")
    return Numbered(name, found)


def latency_of(name: str, part: Callable[[Instance], Instance]) -> Objective:
    """The latency (s) of another instance over the same places, which describes a part of the work."""
    from lmos_opt.formulation.stages import stages
    from lmos_opt.listing.sums import total
    from lmos_opt.split import Split

    return Objective(name, "s", "min", lambda m, inst: sum(stages(m, part(inst))),
                     lambda split: Split.of(part(split.instance), split.upto).times.latency_s,
                     each=lambda splits: splits.listed(total(splits.of_another(part(splits.instance)).stages)))


def memory_granule(instance: Instance) -> float:
    """Both memory models add up whole sizes, so every difference is a multiple of their greatest common divisor."""
    sizes = [n for layer in instance.layers for n in (layer.held_bytes, layer.output_bytes, layer.workspace_bytes)]
    sizes += [weights.bytes for layer in instance.layers for weights in layer.shared]
    return gcd(*instance.inputs.values(), *sizes) or 1


def names() -> list[str]:
    """The shipped objectives; NUMBERED are those that may have a number."""
    return [name for name in modules_of(*__path__) if name != "place_time"]


def __getattr__(name: str) -> Any:
    """A shipped objective's module, as in `objectives.latency.expression`, imported when it is asked for."""
    if name not in modules_of(*__path__):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def get(objective: str | Objective) -> Objective:
    """The objective of a name; an Objective is returned unchanged. InputError for an unknown name."""
    if isinstance(objective, Objective):
        return objective
    base, at, measure = objective.partition("@") if isinstance(objective, str) else ("", "", "")
    if at:
        return _over_scenarios(get(base), measure)
    name, colon, argument = objective.partition(":") if isinstance(objective, str) else ("", "", "")
    if colon and name in NUMBERED:
        one: Objective = import_module(f"{__name__}.{name}").objective(argument)
        return one
    if objective not in names():
        known = [*names(), *(f"{name}:N" for name in NUMBERED)]
        raise InputError("objectives", f"{objective!r:.60} is not an objective; there are {', '.join(known)}"
                                       f"{likely(objective, known)}")  # fmt: skip
    found: Objective = import_module(f"{__name__}.{objective}").OBJECTIVE
    return found


def _over_scenarios(base: Objective, measure: str) -> Objective:
    """A measure of an objective over an instance's scenarios, `NAME@MEASURE`."""
    from lmos_opt.measures import parse
    from lmos_opt.measures.spread import Spread

    name, value, each = f"{base.name}@{measure}", base.value, base.each
    if not base.grows or value is None or each is None:
        those = ", ".join(known for known in names() if get(known).grows)
        raise InputError("objectives", f"{name}: {base.name} is the same in all scenarios; those that are not are {those}")
    asked = parse(base.name, measure)
    last: list[Spread] = []

    def of(instance: Instance) -> Spread:
        if not last or last[0].instance is not instance:
            if not instance.scenarios:
                raise InputError(f"objective {name}", f"{instance.name} has no scenarios; expected some, in the instance or from a "
                                                      "file (--scenarios)")  # fmt: skip
            last[:] = [Spread(asked, instance, value, base.expression, each)]
        return last[0]

    return Objective(name, base.unit, base.sense, lambda m, inst: of(inst).expression(m),
                     lambda split: of(split.instance).at(split), each=lambda splits: of(splits.instance).each(splits))
