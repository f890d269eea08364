"""A user's own functions: their results are checked, and an error in them becomes one line that says what to do.

They may add components of their own to the model. What the formulation made is not changed, and its names are in `m.formulated`:
every variable with another name is the user's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from math import isfinite
from numbers import Real
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import PyomoException
from pyomo.common.log import LoggingIntercept
from pyomo.core.expr.relational_expr import RelationalExpression, TrivialRelationalExpression
from pyomo.repn import generate_standard_repn

from lmos_opt.errors import THEIR_ERRORS, InputError, likely, text_of, with_kind

if TYPE_CHECKING:
    from lmos_opt.instance import Instance

Own = Callable[[Any, "Instance"], Any]
"""A user's function of the model and the instance."""

_RELATION = "a linear relation over the model's variables, such as m.edge['conv1'] == 1"
_EXPRESSION = "a linear expression over the model's variables, such as sum(m.edge[v] for v in m.layers)"
_NO_INDEX = re.compile(r"Index '(?P<index>.*)' is not valid for indexed component '(?P<component>.*)'")
_NO_TRUTH = re.compile(r"Cannot convert non-constant Pyomo (?:expression|numeric value) (?P<expression>.*) to bool")
_SHORT = 60
_SHOWN = 4
"""How many of an expression's variables a message names."""


def describe(what: str, function: object) -> str:
    """The name of a user's function in messages: its purpose, its name, and where it was written."""
    code = getattr(function, "__code__", None)
    return what + (f" ({code.co_filename}:{code.co_firstlineno})" if code else "")


def call(function: Own, where: str, m: Any, instance: Instance) -> Any:
    """The result of a user's function; a generator's items as a list.

    Raises InputError about `where` for everything that it raises, and if it replaces something on the model.
    """
    before = {name: id(component) for name, component in m.component_map().items()}
    try:
        with LoggingIntercept(StringIO(), "pyomo"):  # what Pyomo would log stands in the error below
            found = function(m, instance)
            found = list(found) if isinstance(found, GeneratorType) else found
    except THEIR_ERRORS as error:  # the user's code may raise anything
        raise InputError(where, _reason(error, instance)) from error
    for name, identity in before.items():
        if id(m.component(name)) != identity:
            raise InputError(where, f"replaces m.{name}, which is there already; expected another name")
    return found


def add_variables(m: Any, instance: Instance, function: Own, where: str) -> None:
    """Call a user's function that adds to the model, itself or by returning a mapping of names to Pyomo components.

    InputError, about `where`, if it is no function, raises, or returns anything else.
    """
    if not callable(function):
        raise InputError("variables", f"got {_shown(function)}; expected functions (m, instance)")
    found = call(function, where, m, instance)
    if found is None:
        return
    if not isinstance(found, Mapping):
        raise InputError(where, f"gave {_shown(found)}; expected names to Pyomo components, such as "
                                "{'half': pyo.Var(m.layers, domain=pyo.Binary)}, or nothing where it adds them to m itself")
    for name, component in found.items():
        if not (isinstance(name, str) and name.isidentifier() and hasattr(component, "ctype")):
            raise InputError(where, f"gave {name!r}: {_shown(component)}; expected a name and a Pyomo component such as a Var")
        if m.is_taken(name):
            raise InputError(where, f"gives the name {name!r}, which is there already; expected another name")

        def attach(m: Any, _: Instance, name: str = name, component: Any = component) -> None:
            m.add_component(name, component)

        call(attach, where, m, instance)


def add_relations(m: Any, instance: Instance, function: Own, where: str) -> None:
    """Add the relations that a user's function returns to `m.user`. A function that adds rows itself may return nothing.

    InputError, about `where`, if it is no function, raises, or returns anything but linear relations.
    """
    if not callable(function):
        raise InputError("constraints", f"got {_shown(function)}; expected blocks by name or functions (m, instance)")
    before = set(m.component_map(pyo.Constraint)) | set(m.component_map(pyo.Block))
    found = call(function, where, m, instance)
    if found is None and getattr(function, "is_shipped", False):
        return
    if found is None and (set(m.component_map(pyo.Constraint)) | set(m.component_map(pyo.Block))) - before:
        return
    for relation in found if isinstance(found, list | tuple) else [found]:
        if relation is pyo.Constraint.Skip or relation is pyo.Constraint.Feasible:
            continue
        _check_relation(where, relation)
        try:
            m.user.add(relation).to_bounded_expression(evaluate_bounds=True)
        except Exception as error:  # Pyomo refuses bounds that are no constants, and those that are not finite
            raise InputError(where, _reason(error, instance)) from error


def _check_relation(where: str, relation: Any) -> None:
    if isinstance(relation, bool | np.bool_ | TrivialRelationalExpression):
        raise InputError(where, f"gave {relation}: the relation holds no variable of the model, so that it always is what it is; "
                                f"expected {_RELATION}")
    if relation is None:
        raise InputError(where, f"gave nothing (None); is a `return` missing? Expected {_RELATION}")
    if not isinstance(relation, RelationalExpression):
        raise InputError(where, f"gave {_shown(relation)}; expected {_RELATION}")
    strict = getattr(relation, "strict", False)
    if any(strict) if isinstance(strict, tuple) else strict:
        raise InputError(where, f"gave {_text(relation)}, which is strict; expected <=, >= or == (for whole numbers, < 1 is <= 0)")
    for side in relation.args:
        _check_linear(where, side, relation, finite=False)


def check_objectives(model: Any, objectives: Any) -> list[Any]:
    """The Objective components of a Pyomo model for a front; InputError for anything else."""
    if not (hasattr(model, "component_data_objects") and hasattr(model, "model")):
        raise InputError("model", f"got {_shown(model)}; expected a Pyomo model (or an Instance)")
    if not model.is_constructed():
        raise InputError(str(model.name), "is an abstract model; expected a concrete one, as create_instance() gives it")
    if isinstance(objectives, str) or not isinstance(objectives, Iterable) or hasattr(objectives, "ctype"):
        raise InputError("objectives", f"got {_shown(objectives)}; expected a list of the model's Objective components")
    found = list(objectives)
    for one in found:
        if getattr(one, "ctype", None) is not pyo.Objective:
            raise InputError("objectives", f"got {_shown(one)}; expected Objective components of the model, such as model.cost")
        if one.is_indexed():
            members = ", ".join(member.name for member in one.values())
            raise InputError(f"objective {one.name}", f"is indexed; expected its members, one by one: {members:.200}")
        if one.parent_block() is None or one.model() is not model.model():
            raise InputError(f"objective {one.name}", f"is no component of this model, {model.name}")
        try:
            expression = one.expr
        except ValueError:
            expression = None
        if expression is None:
            raise InputError(f"objective {one.name}", "has no expression")
        _standard(f"objective {one.name}", expression, expression)
    return found


def _check_linear(where: str, part: Any, whole: Any, *, finite: bool) -> None:
    """Refuse what is not linear, and numbers that are none; a relation may have an infinite side."""
    repn = _standard(where, part, whole)
    if not repn.is_linear():
        names = list(dict.fromkeys(variable.name for variable in repn.nonlinear_vars))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise InputError(where, f"gave {_text(whole)}, which is not linear in {', '.join(names[:_SHOWN])}{more}; a product of two "
                                "binaries is a variable of its own: z <= x, z <= y, z >= x + y - 1")
    numbers = [*repn.linear_coefs, *([repn.constant] if finite else [])]
    if not all(map(_is_finite, numbers)) or repn.constant != repn.constant:
        raise InputError(where, f"gave {_text(whole)}, which holds a number that is not finite")


def _standard(where: str, part: Any, whole: Any) -> Any:
    """Pyomo's standard form of an expression."""
    try:
        with LoggingIntercept(StringIO(), "pyomo"):
            return generate_standard_repn(part, compute_values=True, quadratic=False)
    except Exception as error:  # a parameter without a value, a division by zero
        reason = _first_line(error) or type(error).__name__
        raise InputError(where, f"gave {_text(whole)}, which cannot be evaluated: {reason}") from error


def _is_number(found: object) -> bool:
    return isinstance(found, Real) and not isinstance(found, bool)


def _is_finite(number: Any) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number beyond all floats
        return False


def columns_of_user(m: Any, columns: Mapping[int, int]) -> list[int]:
    """The columns of variables that the formulation did not make, in order; `columns` maps variables' id() to them."""
    made = {id(variable) for name, component in m.component_map(pyo.Var).items() if name in m.formulated
            for variable in component.values()}
    return sorted(column for identity, column in columns.items() if identity not in made)


def _reason(error: BaseException, instance: Instance) -> str:
    """One line for what a user's function raised."""
    if isinstance(error, InputError):
        return str(error)
    text = text_of(error)
    if found := _NO_INDEX.search(text):
        return _unknown(found["component"], found["index"], instance)
    if isinstance(error, PyomoException) and (found := _NO_TRUTH.search(text)):
        asked = " ".join(found["expression"].split())
        return (f"asks whether {asked:.{_SHORT}} is true, which only the solution tells; expected relations, several in a list, "
                "and no `if`, `and`, `or`, `not` or chain such as 0 <= x <= 1 over variables")
    return f"failed with {with_kind(error, _first_line(error))}"


def _unknown(component: str, index: str, instance: Instance) -> str:
    if component in ("edge", "step"):
        return f"there is no layer {index!r} (m.{component}) in {instance.name}{likely(index, instance.names)}"
    if component == "sent":
        inputs = ", ".join(map(repr, instance.inputs))
        return (f"there is no tensor {index!r} (m.sent) in {instance.name}; expected {inputs} or a layer"
                f"{likely(index, instance.tensors)}")
    return f"m.{component} has no index {index!r}"


def _first_line(error: BaseException) -> str:
    return " ".join(text_of(error).strip().split("\n\n")[0].split())


def _shown(value: object) -> str:
    """A value and its type, short enough for a line."""
    if value is None:
        return "nothing (None)"
    if isinstance(value, Iterable) and not isinstance(value, str | bytes) and not hasattr(value, "ctype"):
        return f"a {type(value).__name__}"
    known = type(value).__mro__ if hasattr(value, "ctype") else ()
    kind = next((one for one in known if one.__module__.startswith("pyomo.")), type(value))  # Pyomo's name, not our class's
    return f"the {kind.__name__} {_text(value)}"


def _text(value: object) -> str:
    try:
        text = " ".join((repr(value) if isinstance(value, str) else str(value)).split())
    except THEIR_ERRORS:  # a class of the user's, or a number of more digits than Python prints
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHORT else text[:_SHORT] + "..."
