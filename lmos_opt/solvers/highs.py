"""HiGHS through highspy. The program stays loaded between solves.

Presolve is off in the first set of settings, because HiGHS's presolve calls some feasible subproblems of this kind infeasible (its
issues 3090, 2585, 2432). If an answer is in doubt, later sets change the settings that a wrong answer may depend on: the seed,
tolerances, presolve, the simplex method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import highspy
import numpy as np
from highspy._core import _Highs

from lmos_opt.processes.signals import Held, in_one_piece
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Outcome, Relaxed, Status
from lmos_opt.solvers.settings import NOTHING, Options, Settings, refused, unknown

FEASIBILITY_TOLERANCE = 1e-9
"""Rows are scaled to about 1e4, so this is 1e-13 of their size. With 1e-10, the least that HiGHS takes, points are lost."""

MOST_NODES = 200
"""The most nodes of a search that only asks whether there is a solution."""

_SETTINGS: tuple[dict[str, Any], ...] = (
    {"presolve": "off", "random_seed": 0},
    {"presolve": "off", "random_seed": 1, "mip_feasibility_tolerance": 1e-7, "primal_feasibility_tolerance": 1e-8},
    {"presolve": "on", "random_seed": 2},
    {"presolve": "off", "random_seed": 3, "mip_heuristic_effort": 0.05, "simplex_strategy": 4},
)
_BASE: dict[str, Any] = {
    "output_flag": False,
    "threads": 1,
    # If a few nodes are enough, a search for good solutions before them takes two thirds of the time.
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_detect_symmetry": False,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
}
_LP: dict[str, Any] = {
    "output_flag": False,
    "threads": 1,
    "presolve": "off",
    "solver": "simplex",
    "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
}
_ASKED = (highspy.cb.HighsCallbackType.kCallbackMipInterrupt, highspy.cb.HighsCallbackType.kCallbackSimplexInterrupt)
_TOLERANCES = tuple(name for name in _BASE if name.endswith(("tolerance", "gap")))
_KINDS = {"kBool": "True or False", "kInt": "a whole number", "kDouble": "a number", "kString": "a text"}
_STATUS = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kModelEmpty: Status.OPTIMAL,  # no entry in any row: see _Loaded._values
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.TIME_LIMIT,
    highspy.HighsModelStatus.kInterrupt: Status.INTERRUPTED,
}


def _load(milp: Milp, extra_rows: Sequence[LinearForm], options: dict[str, Any], integer: bool) -> Any:
    """A Highs object with the program loaded. The extra rows follow the program's own rows and have no bounds."""
    highs = _Highs()  # not highspy.Highs, which prints a banner to standard output
    for name, value in options.items():
        highs.setOptionValue(name, value)
    rows = [*milp.rows, *extra_rows]
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(milp.variables), len(rows)
    lp.col_cost_ = np.zeros(len(milp.variables))
    lp.col_lower_, lp.col_upper_ = milp.lower, milp.upper
    free = np.full(len(extra_rows), highspy.kHighsInf)
    lp.row_lower_ = np.concatenate([milp.row_lower, -free])
    lp.row_upper_ = np.concatenate([milp.row_upper, free])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *(len(row.columns) for row in rows)])
    lp.a_matrix_.index_ = np.concatenate([row.columns for row in rows]) if rows else np.zeros(0, dtype=int)
    lp.a_matrix_.value_ = np.concatenate([row.coefficients for row in rows]) if rows else np.zeros(0)
    if integer and milp.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(i)] for i in milp.integer]
    highs.passModel(lp)
    return highs


def _stopping(kind: object, message: str, told: object, answer: Any, held: Held) -> None:
    """HiGHS asks whether to go on. This runs in Python, where signals are heard."""
    answer.user_interrupt = held.came


class _Loaded:
    """A program in HiGHS whose objective and bounds of extra rows change: what `HighsRelaxation` and `HighsSession` share."""

    def __init__(self, highs: Any, milp: Milp, n_extra: int, options: Options) -> None:
        self._highs, self._milp, self._options = highs, milp, options
        self._n, self._n_rows = len(milp.variables), len(milp.rows) + n_extra
        self._columns = np.arange(self._n, dtype=np.int32)
        self._bounded: set[int] = set()
        self._cost = np.zeros(self._n)

    def _pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        self._cost = np.zeros(self._n)
        self._cost[objective.columns] = objective.coefficients
        self._highs.changeColsCost(self._n, self._columns, self._cost)
        for row in self._bounded.difference(row_upper):
            self._highs.changeRowBounds(row, -highspy.kHighsInf, highspy.kHighsInf)
        for row, bound in row_upper.items():
            self._highs.changeRowBounds(row, -highspy.kHighsInf, bound)
        self._bounded = set(row_upper)

    def _values(self, lower: Array, upper: Array) -> Array:
        """The solution, shape (variables,). HiGHS gives none for a program without entries: each column is at its cheaper bound."""
        if self._highs.getModelStatus() == highspy.HighsModelStatus.kModelEmpty:
            return np.clip(np.where(self._cost > 0, -np.inf, np.where(self._cost < 0, np.inf, 0.0)), lower, upper)
        return np.array(self._highs.getSolution().col_value)

    def _run(self) -> None:
        """Solve. A process cannot use two numbers of threads in HiGHS, so a solve with another number than before fails at first.

        It is then repeated: with the threads that HiGHS has, or, if the user gave a number, after a reset of HiGHS's threads.
        """
        if self._highs.run() == highspy.HighsStatus.kError:
            if "threads" in self._options:
                _Highs.resetGlobalScheduler(True)
            else:
                self._highs.setOptionValue("threads", 0)
            self._highs.run()


class HighsRelaxation(_Loaded):
    """The linear relaxation. A solve starts from the basis of the solve before."""

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], options: Options = NOTHING) -> None:
        super().__init__(_load(milp, extra_rows, {**_LP, **options}, integer=False), milp, len(extra_rows), options)

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """See `Relaxation.pose`."""
        self._pose(objective, row_upper)

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """See `Relaxation.solve`."""
        highs = self._highs
        highs.changeColsBounds(self._n, self._columns, lower, upper)
        self._run()
        status = _STATUS.get(highs.getModelStatus(), Status.FAILED)
        if status is Status.OPTIMAL:
            duals = np.array(highs.getSolution().row_dual)
            return Relaxed(status, self._values(lower, upper), duals if len(duals) else np.zeros(self._n_rows))
        if status is Status.INFEASIBLE:
            _, found, ray = highs.getDualRay()
            return Relaxed(status, None, np.array(ray) if found else None)
        self.forget()  # the basis that it started from may be the cause
        return Relaxed(status, None, None)

    def forget(self) -> None:
        """See `Relaxation.forget`."""
        self._highs.clearSolver()


class HighsSession(_Loaded):
    """The integer program. Ctrl-C ends a solve; a relaxation takes too little time for HiGHS to ask about it."""

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], options: Options = NOTHING, limit_s: float = inf) -> None:
        highs = _load(milp, extra_rows, {**_BASE, **_SETTINGS[0], "time_limit": limit_s, **options}, integer=True)
        super().__init__(highs, milp, len(extra_rows), options)
        self._setting = 0

    def _run(self) -> None:
        with in_one_piece() as held:
            self._highs.setCallback(_stopping, held)
            for kind in _ASKED:
                self._highs.startCallback(kind)
            super()._run()

    def _set(self, options: dict[str, Any]) -> None:
        for name, value in options.items():
            self._highs.setOptionValue(name, value)

    def solve(self, objective: LinearForm, row_upper: dict[int, float], excluded: Sequence[Array], attempt: int) -> Outcome:
        """See `Session.solve`."""
        highs = self._highs
        if attempt != self._setting:
            self._set({**_BASE, **_SETTINGS[attempt], **self._options})
            self._setting = attempt
        self._pose(objective, row_upper)
        for known in excluded:
            self._exclude(known)
        highs.clearSolver()
        self._run()
        status, message = _STATUS.get(highs.getModelStatus(), Status.FAILED), highs.modelStatusToString(highs.getModelStatus())
        x = self._values(self._milp.lower, self._milp.upper) if status is Status.OPTIMAL else None
        if status is Status.UNBOUNDED:
            status, message = self._with_solutions(status, attempt), "Unbounded or infeasible"
        if excluded:
            highs.deleteRows(len(excluded), np.arange(self._n_rows, self._n_rows + len(excluded), dtype=np.int32))
        return Outcome(status, x, message)

    def _with_solutions(self, unbounded: Status, attempt: int) -> Status:
        """The status of a program whose relaxation is unbounded: `unbounded` if it has a solution, INFEASIBLE if it has none.

        FAILED if that is not settled in a few nodes: with integers that have no bounds, a search for a solution may have no end.
        Presolve sees what a search does not, as that a sum of even numbers is even.
        """
        self._highs.changeColsCost(self._n, self._columns, np.zeros(self._n))
        for presolve in ("off", "on"):
            self._set({"presolve": presolve, "mip_max_nodes": MOST_NODES, **self._options})
            self._highs.clearSolver()
            self._run()
            found = _STATUS.get(self._highs.getModelStatus(), Status.FAILED)
            if found is not Status.FAILED:
                break
        self._set({"mip_max_nodes": highspy.kHighsIInf, **_BASE, **_SETTINGS[attempt], **self._options})
        return unbounded if found is Status.OPTIMAL else found

    def _exclude(self, x: Array) -> None:
        """Add a row that only the binary vector of x violates: at least one binary variable must differ from x."""
        columns = self._milp.integer_columns
        ones = x[columns] > 0.5
        self._highs.addRow(1.0 - float(ones.sum()), highspy.kHighsInf, len(columns), columns.astype(np.int32),
                           np.where(ones, -1.0, 1.0))


@dataclass(frozen=True)
class Highs:
    """HiGHS, the default solver; highspy is a dependency of this package. `options` apply to programs and to relaxations.

    `program_limit_s` is the largest time (s) of one solve of a program with integers.
    """

    name: str = "highs"
    attempts: int = len(_SETTINGS)
    relaxes: bool = True
    exact: bool = False
    options: Options = field(default_factory=dict, hash=False)
    program_limit_s: float = inf

    @property
    def settings(self) -> Settings:
        """See `Configurable.settings`."""
        used = {**_BASE, **_SETTINGS[0], **self.options}
        return Settings.read(used, self.options, "random_seed", "threads", _TOLERANCES)

    def with_options(self, options: Options) -> Highs:
        """See `Configurable.with_options`."""
        highs = _Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("log_to_console", False)
        for name, value in options.items():
            status, kind = highs.getOptionType(name)
            if status != highspy.HighsStatus.kOk:
                raise unknown("HiGHS", name)
            if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise refused("HiGHS", name, value, f"expected {_KINDS.get(kind.name, 'another value')} within the option's range")
        return replace(self, options={**self.options, **options})

    def version(self) -> str:
        """HiGHS's version."""
        return str(_Highs().version())

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> HighsSession:
        """See `Solver.open`."""
        return HighsSession(milp, extra_rows, self.options, self.program_limit_s)

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> HighsRelaxation:
        """See `Solver.relax`."""
        return HighsRelaxation(milp, extra_rows, self.options)


SOLVER = Highs()
