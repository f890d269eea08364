"""From a Pyomo model to arrays. A model that is not a MILP is refused before the first solve, and the message names the part.

The model is only read. Pyomo's own classification of components decides which active parts belong to a MILP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf, isfinite, isnan
from numbers import Integral
from typing import Any

import numpy as np

from lmos_opt.errors import InfeasibleError, InputError, Problem
from lmos_opt.programs.milp import LinearForm, Milp

LEAST, MOST = 1e-100, 1e100
"""Coefficients beyond these would leave the range of doubles when they are multiplied and scaled."""
BOUND_ROUNDING = 1e-12
"""A bound of an integer is a whole number if it differs by at most this share of its size: 3 * 0.1 * 10 means 3."""
NO_BOUND = 1e20
"""A bound of this size or more counts as no bound, as in every solver: people write 1e20 and 1e30 for "no bound"."""
WAYS_OUT = {
    "Disjunction": 'TransformationFactory("gdp.bigm").apply_to(model) turns it into linear constraints',
    "Disjunct": 'TransformationFactory("gdp.bigm").apply_to(model) turns it into linear constraints',
    "LogicalConstraint": 'TransformationFactory("core.logical_to_linear").apply_to(model) turns it into linear constraints',
    "Arc": 'TransformationFactory("network.expand_arcs").apply_to(model) turns it into constraints',
    "Complementarity": 'TransformationFactory("mpec.simple_disjunction"), then "gdp.bigm", turn it into linear constraints',
    "SOSConstraint": 'write it with binary variables (a Piecewise takes pw_repn="BIGM_BIN")',
    "DerivativeVar": 'TransformationFactory("dae.finite_difference").apply_to(model) turns it into constraints',
    "Integral": 'TransformationFactory("dae.finite_difference").apply_to(model) turns it into constraints',
}
"""Pyomo components that do not belong to a MILP, and what turns each into variables and linear constraints."""


def compile_model(model: Any, objectives: Sequence[Any]) -> tuple[Milp, list[LinearForm], dict[int, int]]:
    """The program of a Pyomo model, the linear forms of some objectives, and the column of each variable by its id().

    `objectives` are expressions or objective components of the model. The model is not changed. The program has every active
    constraint of active blocks. Bounds of integers are rounded inwards.

    Raises InputError for a model or an objective that is not linear, or has parts that do not belong to a MILP. Raises
    InfeasibleError if an integer variable has no whole number between its bounds, or a variable's lower bound is above its upper
    bound.
    """
    import pyomo.environ as pyo

    _require_milp(model)
    compiler = _Compiler(str(model.name), model.model())
    for variable in model.component_data_objects(pyo.Var, active=True):
        compiler.bounds(variable)  # first, so that an error about a variable names the variable and not a form that uses it
    names, rows, lower, upper = [], [], [], []
    for constraint in model.component_data_objects(pyo.Constraint, active=True):
        name = str(constraint.name)
        what = f"constraint {name}"
        row = compiler.form(constraint.body, what)
        lb, ub = compiler.side(constraint, "lower", what), compiler.side(constraint, "upper", what)
        names.append(name)
        rows.append(LinearForm(row.columns, row.coefficients))
        if (lb is not None and NO_BOUND <= lb < inf) or (ub is not None and -inf < ub <= -NO_BOUND):
            raise compiler.refuse(what, f"asks for {lb if lb is not None else ub:g}; expected a side below {NO_BOUND:g} in size")
        unit = 1.0 if len(row.columns) else compiler.size(constraint)  # if all variables are fixed: in units of its size
        lower.append(-inf if lb is None else (lb - row.constant) / unit)
        upper.append(inf if ub is None else (ub - row.constant) / unit)
    forms = [compiler.form(getattr(o, "expr", o), f"objective {getattr(o, 'name', k)}") for k, o in enumerate(objectives)]
    for variable in model.component_data_objects(pyo.Var):
        if id(variable) not in compiler.columns:
            compiler.column(variable, f"variable {variable.name}")
    bounds = [compiler.bounds(variable) for variable in compiler.variables]
    milp = Milp(
        compiler.name,
        tuple(variable.name for variable in compiler.variables),
        np.array([lb for lb, _ in bounds]),
        np.array([ub for _, ub in bounds]),
        np.array([not variable.is_continuous() for variable in compiler.variables], dtype=bool),
        tuple(rows), np.array(lower), np.array(upper), tuple(names),
    )  # fmt: skip
    return milp, forms, compiler.columns


@dataclass
class _Compiler:
    """The variables found so far and their columns, and the forms of expressions. Errors name the model and the part."""

    name: str
    root: Any
    variables: list[Any] = field(default_factory=list)
    columns: dict[int, int] = field(default_factory=dict)
    _bounds: dict[int, tuple[float, float]] = field(default_factory=dict)

    def refuse(self, what: str, message: str) -> InputError:
        return InputError(self.name, f"{what} {message}")

    def column(self, variable: Any, what: str) -> int:
        """The column of a variable; a variable that is new gets a new column. InputError if it cannot be in a MILP."""
        if id(variable) in self.columns:
            return self.columns[id(variable)]
        kind = variable.parent_component().ctype.__name__
        if kind in WAYS_OUT:
            raise self.refuse(what, f"uses {variable.name}: {kind} is no part of a MILP; {WAYS_OUT[kind]}")
        if variable.model() is not self.root:
            raise self.refuse(what, f"uses the variable {variable.name}, which is not part of this model")
        if not (variable.is_integer() or variable.is_binary() or variable.is_continuous()):
            raise self.refuse(f"variable {variable.name}", "has a domain that is neither an interval nor integers")
        self.variables.append(variable)
        return self.columns.setdefault(id(variable), len(self.variables) - 1)

    def form(self, expression: Any, what: str) -> LinearForm:
        """The linear form of an expression. Fixed variables become a part of the constant.

        InputError if the expression is not linear, or a number in it is not finite or has too large or too small a size.
        """
        from pyomo.repn import generate_standard_repn

        try:
            repn = generate_standard_repn(expression, compute_values=True, quadratic=False)
            constant = _number(repn.constant)
            coefficients = [_number(coefficient) for coefficient in repn.linear_coefs]
        except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
            raise self.refuse(what, f"cannot be evaluated: {_first_line(error)}") from error
        if not repn.is_linear():
            raise self.refuse(what, "is not linear")
        columns, kept = [], []
        for variable, coefficient in zip(repn.linear_vars, coefficients, strict=True):
            column = self.column(variable, what)
            low, high = self.bounds(variable)
            if not isfinite(coefficient):
                raise self.refuse(what, f"has the coefficient {coefficient} of {variable.name}, which is not finite")
            if coefficient != 0 and not LEAST <= abs(coefficient) <= MOST:
                raise self.refuse(what, f"has the coefficient {coefficient:g} of {variable.name}; expected a size from "
                                        f"{LEAST:g} to {MOST:g}")
            if low == high:
                constant += coefficient * low  # as a column, a solver could still move it by its tolerance
            elif coefficient != 0:
                columns.append(column)
                kept.append(coefficient)
        if not isfinite(constant):
            raise self.refuse(what, f"has the constant {constant}, which is not finite")
        return LinearForm(np.array(columns, dtype=np.int64), np.array(kept, dtype=float), constant)

    def size(self, constraint: Any) -> float:
        """The size of a constraint whose variables are all fixed: see `_size`."""
        return _size(constraint.body, lambda variable: self.bounds(variable)[0])

    def side(self, constraint: Any, which: str, what: str) -> float | None:
        """The lower or upper side of a constraint; None if it has none. InputError if it is not a number."""
        import pyomo.environ as pyo

        try:
            side = pyo.value(getattr(constraint, which))
            side = None if side is None else _number(side)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise self.refuse(what, f"cannot be evaluated: {_first_line(error)}") from error
        if side is None:
            return None
        if isnan(side):
            raise self.refuse(what, f"has the {which} side {side}; expected a number")
        return side

    def bounds(self, variable: Any) -> tuple[float, float]:
        """The bounds of a variable. Those of an integer are rounded inwards; a fixed variable has its value as both bounds."""
        if id(variable) not in self._bounds:
            self._bounds[id(variable)] = self._bounds_of(variable)
        return self._bounds[id(variable)]

    def _bounds_of(self, variable: Any) -> tuple[float, float]:
        is_integer = not variable.is_continuous()
        if variable.fixed:
            value = variable.value
            if value is None or not isfinite(value):
                raise self.refuse(f"variable {variable.name}", f"is fixed at {value}; expected a finite number")
            if is_integer and not float(value).is_integer():
                raise self.refuse(f"variable {variable.name}", f"is fixed at {value}, but is an integer")
            return float(value), float(value)
        try:
            lb, ub = variable.lb, variable.ub
        except (ValueError, TypeError, ArithmeticError) as error:
            raise self.refuse(f"variable {variable.name}", f"has a bound that cannot be evaluated: {_first_line(error)}") from error
        low, high = -inf if lb is None else float(lb), inf if ub is None else float(ub)
        if isnan(low) or isnan(high):
            raise self.refuse(f"variable {variable.name}", f"has the bounds {lb} and {ub}; expected numbers")
        low, high = low if low > -NO_BOUND else -inf, high if high < NO_BOUND else inf
        if is_integer:
            low = float(ceil(low - BOUND_ROUNDING * max(1.0, abs(low)))) if isfinite(low) else low
            high = float(floor(high + BOUND_ROUNDING * max(1.0, abs(high)))) if isfinite(high) else high
        if low > high:
            kind = "whole number" if is_integer else "value"
            raise InfeasibleError(self.name, (f"variable {variable.name}: no {kind} between {lb} and {ub}",))
        return low, high


def _number(value: Any) -> float:
    """A number of Pyomo as a double; ValueError for a whole number that a double cannot hold."""
    if type(value) is float:  # as nearly all are
        return value
    import pyomo.environ as pyo

    found = pyo.value(value)
    double = float(found)
    if isinstance(found, Integral) and int(double) != int(found):
        raise ValueError(f"the whole number {found} is no double: beyond 2**53 not each one is")
    return double


def _size(body: Any, values: Callable[[Any], float]) -> float:
    """The sum of the absolute terms of an expression whose variables are all fixed, for use as the unit of its slack.

    At least the largest absolute coefficient, or 1 if that is larger than 1. An expression without variables has the size 1.
    """
    import pyomo.environ as pyo
    from pyomo.core.expr.calculus.derivatives import Modes, differentiate
    from pyomo.core.expr.visitor import identify_variables, replace_expressions

    variables = list(identify_variables(body))
    if not variables:
        return 1.0
    scratch = pyo.ConcreteModel()
    scratch.x = pyo.Var(range(len(variables)), initialize=lambda _, k: values(variables[k]))
    copied = replace_expressions(body, {id(x): scratch.x[k] for k, x in enumerate(variables)})
    slopes = [abs(float(d)) for d in differentiate(copied, wrt_list=list(scratch.x.values()), mode=Modes.reverse_numeric)]
    terms = (slope * abs(float(pyo.value(x))) for slope, x in zip(slopes, scratch.x.values(), strict=True))
    return max(min(1.0, max(slopes) or 1.0), sum(terms))


def _require_milp(model: Any) -> None:
    """Raise InputError unless the model is a constructed Pyomo model whose active components are all parts of a MILP."""
    import pyomo.environ as pyo
    from pyomo.core.base.block import BlockData
    from pyomo.repn.util import categorize_valid_components

    if not isinstance(model, BlockData):
        raise InputError("model", f"is a {type(model).__name__}; expected a ConcreteModel of pyomo.environ")
    if not model.is_constructed():
        raise InputError(str(model.name), "is not constructed; pass what its create_instance() returns")
    if not model.active:
        raise InputError(str(model.name), "is deactivated, so that nothing in it counts; activate() it")
    known = {pyo.Block, pyo.Var, pyo.Constraint, pyo.Objective, pyo.Param, pyo.Set, pyo.RangeSet, pyo.Expression, pyo.Suffix,
             pyo.ExternalFunction}  # fmt: skip
    _, others = categorize_valid_components(model, active=True, valid=known)
    problems = []
    for kind, components in others.items():
        shown = ", ".join(component.name for component in components[:3]) + (", ..." if len(components) > 3 else "")
        way_out = WAYS_OUT.get(kind.__name__, "expected variables, linear constraints and linear objectives")
        problems.append(Problem(shown, f"{kind.__name__} is no part of a MILP; {way_out}"))
    if problems:
        raise InputError(str(model.name), problems)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
