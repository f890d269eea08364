"""Calls of a user's own objectives: their expression, value and granule, each checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyomo.core.expr.numvalue import NumericValue

from lmos_opt.errors import THEIR_ERRORS, InputError
from lmos_opt.formulation.named import shipped_expression

if TYPE_CHECKING:
    from lmos_opt.instance import Instance
    from lmos_opt.objectives import Objective
    from lmos_opt.split import Split
from lmos_opt.own_code import _EXPRESSION, _check_linear, _is_finite, _is_number, _reason, _shown, call, describe


def expression_of(objective: Objective, m: Any, instance: Instance, *, is_shipped: bool) -> Any:
    """The linear expression of an objective on the model. Components that lmos's own objectives add belong to the formulation.

    InputError if a user's function raises, or gives no linear expression.
    """
    if is_shipped:
        return shipped_expression(m, instance, objective)
    where = describe(f"objective {objective.name}", objective.expression)
    found = call(objective.expression, where, m, instance)
    if _is_number(found) and found == 0:  # a sum without terms
        return found
    if not isinstance(found, NumericValue) or getattr(found, "is_indexed", bool)():
        raise InputError(where, f"gave {_shown(found)}; expected {_EXPRESSION}")
    _check_linear(where, found, found, finite=True)
    return found


def value_of(objective: Objective, split: Split) -> float:
    """An objective's value from the edge set alone. InputError if it raises, or gives no finite number."""
    assert objective.value is not None
    try:
        found: Any = objective.value(split)
    except THEIR_ERRORS as error:  # the user's code may raise anything
        if isinstance(error, InputError):
            raise
        raise InputError(_value_of(objective), _reason(error, split.instance)) from error
    if not (_is_number(found) and _is_finite(found)):
        raise InputError(_value_of(objective), f"gave {_shown(found)}; expected a finite number")
    number: float = found
    return number


def granule_of(objective: Objective, instance: Instance) -> float | None:
    """An objective's granule on the instance, None if it has none; InputError for one that is not a positive number."""
    if objective.granule is None:
        return None
    where = describe(f"objective {objective.name}, granule", objective.granule)
    try:
        found: Any = objective.granule(instance)
    except THEIR_ERRORS as error:  # the user's code may raise anything
        raise InputError(where, _reason(error, instance)) from error
    if not (_is_number(found) and _is_finite(found) and found > 0):
        raise InputError(where, f"gave {_shown(found)}; expected a number above zero")
    return float(found)


def _value_of(objective: Objective) -> str:
    return describe(f"objective {objective.name}, value", objective.value)
