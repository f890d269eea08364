"""Gurobi through gurobipy (the extra `solvers`). Programs and relaxations stay loaded between solves.

The package from PyPI has a licence for 2000 variables and 2000 rows. A full licence is used if one is installed. Presolve is off
in the first two of three sets of settings, for the reason that `lmos_opt.solvers.highs` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import numpy as np

from lmos_opt.errors import SolverError
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Outcome, Relaxed, Status
from lmos_opt.solvers.settings import NOTHING, Options, Settings, refused

P = ParamSpec("P")
R = TypeVar("R")

FEASIBILITY_TOLERANCE = 1e-9
"""The smallest tolerance that Gurobi takes."""
_TOO_LARGE = 10010
"""Gurobi's error number if a model is too large for a licence with a limit."""

_BASE: dict[str, Any] = {
    "Threads": 1,
    "FeasibilityTol": FEASIBILITY_TOLERANCE,
    "OptimalityTol": FEASIBILITY_TOLERANCE,
    "DualReductions": 0,  # with them, infeasible and unbounded are one status
}
_INTEGER = {"IntFeasTol": FEASIBILITY_TOLERANCE, "MIPGap": 0.0, "MIPGapAbs": 0.0}
_SETTINGS: tuple[dict[str, Any], ...] = (
    {"Presolve": 0, "Seed": 0, "NumericFocus": 0},
    {"Presolve": 0, "Seed": 1, "NumericFocus": 3},
    {"Presolve": -1, "Seed": 2, "NumericFocus": 3},
)
_LP: dict[str, Any] = {"Presolve": 0, "Method": 1, "InfUnbdInfo": 1}
"""Method 1 is the dual simplex, which starts from the last basis after bounds have changed. InfUnbdInfo keeps rays."""
_TOLERANCES = ("FeasibilityTol", "OptimalityTol", "IntFeasTol", "MIPGap", "MIPGapAbs")
_STATUS = {
    "OPTIMAL": Status.OPTIMAL,
    "INFEASIBLE": Status.INFEASIBLE,
    "UNBOUNDED": Status.UNBOUNDED,
    "TIME_LIMIT": Status.TIME_LIMIT,
    "INTERRUPTED": Status.INTERRUPTED,
}


def _package() -> Any:
    """The package gurobipy. SolverError, which says how to install it, if it is missing."""
    try:
        return import_module("gurobipy")
    except ImportError as error:
        raise SolverError("gurobi", "gurobipy is not installed; get it by: pip install 'lmos[solvers]'") from error


def _explained(act: Callable[P, R]) -> Callable[P, R]:
    """The function, which raises SolverError in place of Gurobi's own errors (no licence, a model too large for it)."""
    @wraps(act)
    def explained(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return act(*arguments, **options)
        except _package().GurobiError as error:
            message = f"{error}"
            if error.errno == _TOO_LARGE:
                message = ("the model is larger than this licence allows (the one that comes with gurobipy: 2000 variables "
                           "and 2000 rows)")
            raise SolverError("gurobi", message) from error

    return explained


class _Loaded:
    """A program in Gurobi whose objective and bounds of extra rows change: what `GurobiRelaxation` and `GurobiSession` share."""

    @_explained
    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], options: dict[str, Any], integer: bool) -> None:
        package = _package()
        environment = package.Env(params={"OutputFlag": 0})
        self._model = model = package.Model(env=environment)
        self._set(_BASE | options)
        kinds = [package.GRB.INTEGER if integer and i else package.GRB.CONTINUOUS for i in milp.integer.tolist()]
        self._x = list(model.addVars(len(kinds), lb=milp.lower.tolist(), ub=milp.upper.tolist(), vtype=kinds).values())
        self._rows = [self._add(row, float(low), float(high))
                      for row, low, high in zip(milp.rows, milp.row_lower, milp.row_upper, strict=True)]
        self._rows += [self._add(row, -np.inf, np.inf) for row in extra_rows]
        self._bounded: set[int] = set()

    def _set(self, options: dict[str, Any]) -> None:
        for name, value in options.items():
            self._model.setParam(name, value)

    def _form(self, form: LinearForm) -> Any:
        return _package().LinExpr(form.coefficients.tolist(), [self._x[k] for k in form.columns.tolist()])

    def _add(self, row: LinearForm, low: float, high: float) -> Any:
        form = self._form(row)
        if low == high:
            return self._model.addLConstr(form, "=", low)
        if np.isfinite(low) and np.isfinite(high):
            return self._model.addRange(form, low, high)
        return self._model.addLConstr(form, ">", low) if np.isfinite(low) else self._model.addLConstr(form, "<", high)

    def _pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        self._model.setObjective(self._form(objective))
        for row in self._bounded.difference(row_upper):
            self._rows[row].RHS = np.inf
        for row, bound in row_upper.items():
            self._rows[row].RHS = bound
        self._bounded = set(row_upper)

    def _status(self) -> tuple[Status, str]:
        codes = _package().GRB.Status
        word = next((name for name in dir(codes) if getattr(codes, name) == self._model.Status), "unknown")
        return _STATUS.get(word, Status.FAILED), word.lower().replace("_", " ")

    def _values(self) -> Array:
        return np.array(self._model.getAttr("X", self._x))


class GurobiRelaxation(_Loaded):
    """The linear relaxation. A solve starts from the basis of the solve before."""

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], limit_s: float, options: Options = NOTHING) -> None:
        super().__init__(milp, extra_rows, {**_LP, "TimeLimit": limit_s, **options}, integer=False)

    @_explained
    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """See `Relaxation.pose`."""
        self._pose(objective, row_upper)

    @_explained
    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """See `Relaxation.solve`."""
        self._model.setAttr("LB", self._x, lower.tolist())
        self._model.setAttr("UB", self._x, upper.tolist())
        self._model.optimize()
        status, _ = self._status()
        if status is Status.OPTIMAL:
            return Relaxed(status, self._values(), np.array(self._model.getAttr("Pi", self._rows)))
        if status is Status.INFEASIBLE:
            try:  # Gurobi's ray has the other sign: it combines the rows to `ray A x <= ray b`
                return Relaxed(status, None, -np.array(self._model.getAttr("FarkasDual", self._rows)))
            except (AttributeError, _package().GurobiError):
                return Relaxed(status, None, None)
        if status is Status.INTERRUPTED:
            raise KeyboardInterrupt  # Gurobi takes Ctrl-C for itself
        return Relaxed(status, None, None)

    def forget(self) -> None:
        """See `Relaxation.forget`."""
        self._model.reset()


class GurobiSession(_Loaded):
    """The integer program."""

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], limit_s: float, options: Options = NOTHING) -> None:
        super().__init__(milp, extra_rows, {**_INTEGER, **_SETTINGS[0], "TimeLimit": limit_s, **options}, integer=True)
        self._milp, self._options = milp, options

    @_explained
    def solve(self, objective: LinearForm, row_upper: dict[int, float], excluded: Sequence[Array], attempt: int) -> Outcome:
        """See `Session.solve`."""
        self._set({**_SETTINGS[attempt], **self._options})
        self._pose(objective, row_upper)
        columns = self._milp.integer_columns
        cuts = []
        for known in excluded:  # a row that only this binary vector violates
            ones = known[columns] > 0.5
            cuts.append(self._add(LinearForm(columns, np.where(ones, -1.0, 1.0)), 1.0 - float(ones.sum()), np.inf))
        self._model.reset()
        self._model.optimize()
        status, word = self._status()
        x = self._values() if status is Status.OPTIMAL else None
        self._model.remove(cuts)
        if x is not None and not np.all(np.isfinite(x)):  # its answer if an integer is unbounded
            return Outcome(Status.UNBOUNDED, None, word)
        return Outcome(status, x, word)


@dataclass(frozen=True)
class Gurobi:
    """Gurobi. `limit_s` is the largest time (s) of one solve."""

    name: str = "gurobi"
    attempts: int = len(_SETTINGS)
    relaxes: bool = True
    exact: bool = False
    limit_s: float = 600.0
    options: Options = field(default_factory=dict, hash=False)

    @property
    def settings(self) -> Settings:
        """See `Configurable.settings`."""
        used = {**_BASE, **_INTEGER, **_SETTINGS[0], **self.options}
        return Settings.read(used, self.options, "Seed", "Threads", _TOLERANCES)

    @_explained
    def with_options(self, options: Options) -> Gurobi:
        """See `Configurable.with_options`."""
        package = _package()
        model = package.Model(env=package.Env(params={"OutputFlag": 0}))
        for name, value in options.items():
            try:
                model.setParam(name, value)
            except (package.GurobiError, TypeError, ValueError) as error:
                raise refused("Gurobi", name, value, str(error)) from error
        return replace(self, options={**self.options, **options})

    def version(self) -> str:
        """Gurobi's version."""
        return ".".join(map(str, _package().gurobi.version()))

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> GurobiSession:
        """See `Solver.open`."""
        return GurobiSession(milp, extra_rows, self.limit_s, self.options)

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> GurobiRelaxation:
        """See `Solver.relax`."""
        return GurobiRelaxation(milp, extra_rows, self.limit_s, self.options)


SOLVER = Gurobi()
