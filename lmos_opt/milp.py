"""A mixed-integer linear program as arrays, compiled from any Pyomo model without changing it.

Solvers take these arrays, algorithms reason about them: which objectives are integral is proved here, from
coefficients and variable types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import fsum, gcd, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmos_opt.errors import InputError

Array = NDArray[np.float64]
_LARGEST_EXACT = 2.0**53


@dataclass(frozen=True)
class LinearForm:
    """`sum(coefficients[k] * x[columns[k]]) + constant`."""

    columns: NDArray[np.int64]
    coefficients: Array
    constant: float = 0.0

    def at(self, x: Array) -> float:
        """The value at x, correctly rounded."""
        return fsum([*(self.coefficients * x[self.columns]).tolist(), self.constant])

    def __neg__(self) -> LinearForm:
        return LinearForm(self.columns, -self.coefficients, -self.constant)


@dataclass(frozen=True)
class Milp:
    """Variables with bounds and types, rows `lower <= form <= upper`; forms of rows carry no constant."""

    name: str
    variables: tuple[str, ...]
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    rows: tuple[LinearForm, ...]
    row_lower: Array
    row_upper: Array

    @cached_property
    def integer_columns(self) -> NDArray[np.int64]:
        """Indices of the integer variables."""
        return np.flatnonzero(self.integer)

    @cached_property
    def is_binary(self) -> bool:
        """Whether every integer variable is binary."""
        columns = self.integer_columns
        return bool(np.all(self.lower[columns] >= 0) and np.all(self.upper[columns] <= 1))

    @cached_property
    def _entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Row, column and coefficient of every entry."""
        sizes = [len(row.columns) for row in self.rows]
        columns = np.concatenate([row.columns for row in self.rows]) if self.rows else np.zeros(0, dtype=np.int64)
        values = np.concatenate([row.coefficients for row in self.rows]) if self.rows else np.zeros(0)
        return np.repeat(np.arange(len(self.rows)), sizes), columns, values

    @cached_property
    def _row_is_whole(self) -> NDArray[np.bool_]:
        return np.array([self.granule(row) is not None for row in self.rows], dtype=bool)

    def satisfied(self, x: Array) -> bool:
        """Whether x satisfies every row: to 1e-9 of what it adds up, and of one at least; whole rows to 1e-6."""
        row, column, value = self._entries
        terms = value * x[column]
        activity = np.bincount(row, terms, len(self.rows))
        size = np.maximum(1.0, np.bincount(row, np.abs(terms), len(self.rows)))
        slack = np.where(self._row_is_whole, 1e-6, 1e-9 * size)
        return bool(np.all(activity >= self.row_lower - slack) and np.all(activity <= self.row_upper + slack))

    def spread(self, form: LinearForm) -> float:
        """How far the form can move at most, over finite bounds; a variable without them counts as one unit."""
        width = self.upper[form.columns] - self.lower[form.columns]
        return float(np.abs(form.coefficients) @ np.where(np.isfinite(width), width, 1.0))

    def scaled(self, most: float) -> Milp:
        """The same program with rows scaled down so that none can move by more than `most`."""
        spreads = np.array([self.spread(row) for row in self.rows])
        factor = most / np.maximum(spreads, most)
        rows = tuple(LinearForm(r.columns, r.coefficients * f) for r, f in zip(self.rows, factor, strict=True))
        return replace(self, rows=rows, row_lower=self.row_lower * factor, row_upper=self.row_upper * factor)

    def granule(self, form: LinearForm) -> float | None:
        """The largest g such that every value of the form is a constant plus a whole multiple of g, if one is proved.

        Proved from integer variables and whole coefficients; None for anything else (then values are real).
        """
        used = form.coefficients != 0
        coefficients = form.coefficients[used]
        if not np.all(self.integer[form.columns[used]]) or np.any(np.abs(coefficients) >= _LARGEST_EXACT):
            return None
        if np.any(coefficients != np.rint(coefficients)):
            return None
        return float(reduce(gcd, (abs(int(c)) for c in coefficients), 0)) or None


def compile_model(model: Any, objectives: Sequence[Any]) -> tuple[Milp, list[LinearForm], dict[int, int]]:
    """The arrays of a Pyomo model and of the given expressions (or objective components), which stay as they are.

    The third result maps the id() of each Pyomo variable to its column.

    Takes every active Constraint of active blocks. Raises InputError for anything that is not a MILP.
    """
    import pyomo.environ as pyo
    from pyomo.repn import generate_standard_repn

    for kind in (pyo.SOSConstraint, pyo.Disjunction) if hasattr(pyo, "Disjunction") else (pyo.SOSConstraint,):
        for component in model.component_data_objects(kind, active=True):
            raise InputError(model.name, f"{component.name} is a {kind.__name__}; expected a MILP of Var and Constraint")
    index: dict[int, int] = {}
    variables: list[Any] = []

    def form(expression: Any, what: str) -> LinearForm:
        repn = generate_standard_repn(expression, compute_values=True, quadratic=False)
        if not repn.is_linear():
            raise InputError(model.name, f"{what} is not linear")
        columns, coefficients, constant = [], [], float(pyo.value(repn.constant))
        for variable, coefficient in zip(repn.linear_vars, repn.linear_coefs, strict=True):
            column = index.setdefault(id(variable), len(variables))
            if column == len(variables):
                variables.append(variable)
            value = float(pyo.value(coefficient))
            if variable.lb is not None and variable.lb == variable.ub:
                constant += value * variable.lb  # a solver may move even this by its tolerance, times the coefficient
            else:
                columns.append(column)
                coefficients.append(value)
        if not (np.all(np.isfinite(coefficients)) and np.isfinite(constant)):
            raise InputError(model.name, f"{what} has a coefficient that is not finite")
        return LinearForm(np.array(columns, dtype=np.int64), np.array(coefficients), constant)

    rows, lower, upper = [], [], []
    for constraint in model.component_data_objects(pyo.Constraint, active=True):
        row = form(constraint.body, f"constraint {constraint.name}")
        lb, ub = pyo.value(constraint.lower), pyo.value(constraint.upper)
        rows.append(LinearForm(row.columns, row.coefficients))
        lower.append(-inf if lb is None else float(lb) - row.constant)
        upper.append(inf if ub is None else float(ub) - row.constant)
    found = [form(getattr(o, "expr", o), f"objective {getattr(o, 'name', k)}") for k, o in enumerate(objectives)]
    for variable in model.component_data_objects(pyo.Var):
        if id(variable) not in index:
            index[id(variable)] = len(variables)
            variables.append(variable)
    bounds = [(v.value, v.value) if v.fixed else (v.lb, v.ub) for v in variables]
    for variable in variables:
        if not (variable.is_integer() or variable.is_binary() or variable.is_continuous()):
            raise InputError(model.name, f"variable {variable.name} has a domain that is neither an interval nor integers")
    milp = Milp(
        str(model.name),
        tuple(variable.name for variable in variables),
        np.array([-inf if lb is None else float(lb) for lb, _ in bounds]),
        np.array([inf if ub is None else float(ub) for _, ub in bounds]),
        np.array([not variable.is_continuous() for variable in variables], dtype=bool),
        tuple(rows), np.array(lower), np.array(upper),
    )  # fmt: skip
    return milp, found, index
