"""How much of an objective is admitted: `latency` at most 0.2 s, `fidelity_loss` at most 1 %."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmos_opt import objectives
from lmos_opt.errors import InputError
from lmos_opt.formulation import several
from lmos_opt.fronts.options import FrontOptions
from lmos_opt.imports import late
from lmos_opt.instance import Instance
from lmos_opt.listing.splits import Splits
from lmos_opt.objectives import Objective
from lmos_opt.split import Split
from lmos_opt.units import parse_percent, parse_size, parse_time

_PREFIXES = {name: Decimal(times) for name, times in {"": "1", "m": "1e-3", "k": "1e3", "M": "1e6"}.items()}
_NUMBER = r"([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?)"


SLACK = 1e-9
"""The share of a limit that a value may be above it: no more than is lost where it is added up in another order."""


@dataclass(frozen=True)
class AtMost:
    """A constraint: an objective, a shipped one or one of a user's own, is at most a number in its unit."""

    objective: Objective
    most: float
    is_shipped: bool = False

    @property
    def __name__(self) -> str:
        """How messages name it."""
        return " ".join([f"{self.objective.name} at most {self.most:g}", *[self.objective.unit] * bool(self.objective.unit)])

    def __call__(self, m: Any, instance: Instance) -> Any:
        """The relation on the model.

        For one of lmos's own objectives it is a part of the formulation, and a little wider than the limit, because the value of a
        split decides (`admits`). None is then returned: the relation is already on the model.
        """
        if not self.is_shipped:
            return self.objective.expression(m, instance) <= self.most
        late("lmos_opt.formulation.named:add_limit")(m, instance, self.objective, self._most + SLACK * abs(self.most), self.admits)
        return None

    @property
    def _most(self) -> float:
        return self.most + SLACK * abs(self.most)

    def admits(self, split: Split) -> bool:
        """Whether a split's value is within the limit of a shipped objective."""
        assert self.objective.value is not None
        return self.objective.value(split) <= self._most

    def may_admit(self, splits: Splits) -> NDArray[np.bool_]:
        """Which splits may be within the limit: in arrays values are a little off."""
        if self.objective.each is None:
            return np.ones(len(splits), dtype=bool)
        found = self.objective.each(splits)
        within: NDArray[np.bool_] = found.values <= self._most + found.off
        return within


def shipped(constraints: Iterable[Any]) -> tuple[AtMost, ...]:
    """The limits of shipped objectives among constraints."""
    return tuple(one for one in constraints if isinstance(one, AtMost) and one.is_shipped)


def has_own(objectives: Iterable[str | Objective], options: FrontOptions) -> bool:
    """Whether anything is a user's own: an objective, a variable, a constraint that is no limit of a shipped objective."""
    return (len(options.constraints) > len(shipped(options.constraints)) or bool(options.variables)
            or any(isinstance(o, Objective) for o in objectives))


def with_limits(options: FrontOptions, objectives: Sequence[str | Objective]) -> FrontOptions:
    """The options with their limits among the constraints. InputError as `limits_of`."""
    limits = limits_of(options.limits, [o for o in objectives if isinstance(o, Objective)])
    return replace(options, limits={}, constraints=[*several(options.constraints, "constraints"), *limits])


def limits_of(limits: Mapping[str, float] | Mapping[str | Objective, float], own: Iterable[Objective]) -> tuple[AtMost, ...]:
    """The constraints of `limits=`: each key an objective of the user's own, or the name of one of these or of a shipped one.

    Raises InputError for an objective that is not known, and for an amount that is no finite number.
    """
    if not isinstance(limits, Mapping):
        raise InputError("limits", f"got {limits!r:.60}; expected amounts by objectives, such as {{'latency': 0.2}}")
    named = {objective.name: objective for objective in own}
    return tuple(_limit(named.get(key, key) if isinstance(key, str) else key, most) for key, most in limits.items())


def _limit(objective: Any, most: Any) -> AtMost:
    if is_shipped := isinstance(objective, str):
        objective = objectives.get(objective)
    if not isinstance(objective, Objective):
        raise InputError("limits", f"{objective!r:.60} is no objective; expected one, or its name")
    what = f"limits, {objective.name}"
    if isinstance(most, bool) or not isinstance(most, Real) or not isfinite(float(most)):
        raise InputError(what, f"{most!r:.60} is not a finite number{f' of {objective.unit}' if objective.unit else ''}")
    return AtMost(objective, float(most), is_shipped)


def amount(text: str, objective: Objective, what: str) -> float:
    """An amount of an objective as people write it, in the objective's unit: `200ms`, `1.5GB`, `2J`, `1%`. InputError about `what`
    for another text.

    >>> from lmos_opt.objectives import get
    >>> amount("200ms", get("latency"), "limit"), amount("500mJ", get("energy"), "limit")
    (0.2, 0.5)
    """
    if objective.unit == "s":
        return parse_time(text, what)
    if objective.unit == "B":
        return float(parse_size(text, what))
    if not objective.unit and text.endswith("%"):
        return parse_percent(text, what) / 100
    unit = re.escape(objective.unit)
    match = re.fullmatch(rf"\s*{_NUMBER}\s*(?:({'|'.join(_PREFIXES)}){unit})?\s*", text)
    if match is None:
        expected = f"a number, with or without the unit {objective.unit}" if objective.unit else "a number, or N%"
        raise InputError(what, f"{text!r:.60} is no amount; expected {expected}")
    return float(Decimal(match[1]) * _PREFIXES[match[2] or ""])
