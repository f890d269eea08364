"""The model of a split. It has an expression for each objective of lmos, under its name: `m.latency`, `m.memory_used`."""

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
"""Another name of `m.memory`, the memory of the first place."""


class SplitModel(pyo.ConcreteModel):  # type: ignore[misc]  # Pyomo has no types
    """A ConcreteModel of an instance. A component that a user adds under the name of an expression replaces it."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance.name)
        self.split = instance
        self.expressions: dict[str, Any] = {}
        """The expressions that were used so far, by the objective's name."""
        self.within: list[Callable[[Any], bool]] = []
        """For each limit of an objective of lmos, whether a split is within it."""

    def __getattr__(self, name: str) -> Any:
        if "within" not in self.__dict__:  # during construction, or in a copy
            return super().__getattr__(name)
        if name not in names():
            try:
                return super().__getattr__(name)
            except AttributeError:
                raise AttributeError(f"the model has no {name!r}{likely(name, (*self.component_map(), *names()))}") from None
        return self.memory if name == MEMORY_USED else shipped_expression(self, self.split, late("lmos_opt.objectives:get")(name))

    def is_taken(self, name: str) -> bool:
        """Whether a user's component cannot have this name. It may have the name of an expression."""
        return self.component(name) is not None or (name not in names() and hasattr(self, name))


def names() -> tuple[str, ...]:
    """The names of expressions on a model, without `memory`, which every model has, and without names of Pyomo's own (`load`)."""
    return (*(name for name in late("lmos_opt.objectives:names")() if name != "memory" and not hasattr(pyo.ConcreteModel, name)),
            MEMORY_USED)  # fmt: skip


def shipped_expression(m: Any, instance: Instance, objective: Any) -> Any:
    """The expression of an objective of lmos on the model. It is made once; components that it adds belong to the formulation."""
    if objective.name not in m.expressions:
        before = set(m.component_map())
        m.expressions[objective.name] = objective.expression(m, instance)
        m.formulated = getattr(m, "formulated", frozenset()) | (set(m.component_map()) - before)
    return m.expressions[objective.name]


def add_limit(m: Any, instance: Instance, objective: Any, most: float, is_within: Callable[[Any], bool]) -> None:
    """Limit the expression of an objective of lmos to at most a number, if it has variables. `is_within` tests a split's value."""
    m.within.append(is_within)
    expression = shipped_expression(m, instance, objective)
    if pyo.is_potentially_variable(expression):
        name = unique_component_name(m, "limit")
        m.add_component(name, pyo.Constraint(expr=expression <= most))
        m.formulated |= {name}
