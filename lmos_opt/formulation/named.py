"""The model of a split, on which each shipped objective's expression stands under its name: `m.latency`, `m.memory_used`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo
from pyomo.common.modeling import unique_component_name

from lmos_opt.errors import likely
from lmos_opt.imports import late

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmos_opt.instance import Instance

MEMORY_USED = "memory_used"
"""`m.memory`, the first place's memory, by the name that says what it is."""


class SplitModel(pyo.ConcreteModel):  # type: ignore[misc]  # Pyomo has no types
    """A ConcreteModel of an instance. What a user adds under such a name takes its place."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance.name)
        self.split = instance
        self.expressions: dict[str, Any] = {}
        """Those that were asked for, by the objective's name."""
        self.within: list[Callable[[Any], bool]] = []
        """Whether a split is within each limit of a shipped objective."""

    def __getattr__(self, name: str) -> Any:
        if "within" not in self.__dict__:  # while it is being made, or copied
            return super().__getattr__(name)
        if name not in names():
            try:
                return super().__getattr__(name)
            except AttributeError:
                raise AttributeError(f"the model has no {name!r}{likely(name, (*self.component_map(), *names()))}") from None
        return self.memory if name == MEMORY_USED else shipped_expression(self, self.split, late("lmos_opt.objectives:get")(name))

    def is_taken(self, name: str) -> bool:
        """Whether a user's component cannot have the name; that of an expression it may take."""
        return self.component(name) is not None or (name not in names() and hasattr(self, name))


def names() -> tuple[str, ...]:
    """The names of shipped expressions on a model, but for `memory`, which is always there, and what Pyomo has itself (`load`)."""
    return (*(name for name in late("lmos_opt.objectives:names")() if name != "memory" and not hasattr(pyo.ConcreteModel, name)),
            MEMORY_USED)  # fmt: skip


def shipped_expression(m: Any, instance: Instance, objective: Any) -> Any:
    """A shipped objective's expression on the model, made once: what it adds belongs to the formulation, and stands there once."""
    if objective.name not in m.expressions:
        before = set(m.component_map())
        m.expressions[objective.name] = objective.expression(m, instance)
        m.formulated = getattr(m, "formulated", frozenset()) | (set(m.component_map()) - before)
    return m.expressions[objective.name]


def add_limit(m: Any, instance: Instance, objective: Any, most: float, is_within: Callable[[Any], bool]) -> None:
    """Hold a shipped objective's expression at most at a number, where it holds a variable; a split `is_within` by its value."""
    m.within.append(is_within)
    expression = shipped_expression(m, instance, objective)
    if pyo.is_potentially_variable(expression):
        name = unique_component_name(m, "limit")
        m.add_component(name, pyo.Constraint(expr=expression <= most))
        m.formulated |= {name}
