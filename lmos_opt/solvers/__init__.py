"""Solvers: one file for each. `solvers/NAME.py` holds `SOLVER`; the file's name registers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib import import_module
from typing import Any, Protocol, cast

from lmos_opt.errors import InputError, likely
from lmos_opt.imports import modules_of
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers.settings import NOTHING, Configurable, Options, checked, no_options


class Status(Enum):
    """The result of a solve. INFEASIBLE says that there is no solution. All others except OPTIMAL count as failures."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """The status of a solve, its solution x, shape (variables,), if it is OPTIMAL, and the solver's own name of the status."""

    status: Status
    x: Array | None = None
    message: str = ""


class Session(Protocol):
    """A program that stays loaded in a solver. Between solves the objective, bounds of extra rows and exclusions change."""

    def solve(self, objective: LinearForm, row_upper: dict[int, float], excluded: Sequence[Array], attempt: int) -> Outcome:
        """Minimise `objective`, with upper bounds on some extra rows (by row number), over all but the `excluded` vectors.

        Excluded vectors have the shape (variables,) and differ in binary variables. If the caller doubts an answer, it solves
        again: each `attempt` (from 0) uses another set of settings.
        """


@dataclass(frozen=True)
class Relaxed:
    """The status of a relaxation, its solution x, shape (variables,), and its row duals y, shape (rows,).

    The reduced costs are `c - A'y`. If the relaxation is infeasible, `duals` are a Farkas ray, if the solver has one: with the
    costs 0 its y gives a positive lower bound of the value 0.
    """

    status: Status
    x: Array | None
    duals: Array | None


class Relaxation(Protocol):
    """The linear relaxation of a program, which stays loaded: a search tree changes only the bounds of columns."""

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """Set the objective, which is minimised, and upper bounds of some extra rows (by row number); the others have none."""

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """Solve with these bounds of the columns, shape (variables,)."""

    def forget(self) -> None:
        """Start the next solve from scratch, without the basis of earlier solves."""


class Stretched:
    """A relaxation with scaled columns. The tolerances of a solver are absolute, so the ranges of columns should be similar.

    `units` has the unit of each column, shape (variables,): the solver's column is the program's column divided by its unit.
    Inputs and outputs of the methods are in the program's units. The row duals are the same in both.
    """

    def __init__(self, relax: Callable[[Milp, Sequence[LinearForm]], Relaxation], milp: Milp,
                 extra_rows: Sequence[LinearForm], units: Array) -> None:  # fmt: skip
        self._units = units
        rows = tuple(map(self._stretched, milp.rows))
        self._inner = relax(replace(milp, lower=milp.lower / units, upper=milp.upper / units, rows=rows),
                            list(map(self._stretched, extra_rows)))

    def _stretched(self, form: LinearForm) -> LinearForm:
        return LinearForm(form.columns, form.coefficients * self._units[form.columns], form.constant)

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """See `Relaxation.pose`."""
        self._inner.pose(self._stretched(objective), row_upper)

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """See `Relaxation.solve`."""
        found = self._inner.solve(lower / self._units, upper / self._units)
        return found if found.x is None else replace(found, x=found.x * self._units)

    def forget(self) -> None:
        """See `Relaxation.forget`."""
        self._inner.forget()


class Solver(Protocol):
    """A solver: its name, what it can do, and how to load a program into it.

    If it `relaxes`, the certified search (branch and bound on its linear relaxations) proves the answers where it can. If it is
    `exact`, its own answers are proofs. A front that depends on unproved answers is incomplete, unless tolerances cannot change
    the answers (`lmos_opt.algorithms.belief`).
    """

    @property
    def name(self) -> str:
        """The name that chooses this solver, as in `--solver NAME`."""

    @property
    def attempts(self) -> int:
        """The number of sets of settings: `attempt` of `Session.solve` is below it."""

    @property
    def relaxes(self) -> bool:
        """Whether it gives linear relaxations with row duals."""

    @property
    def exact(self) -> bool:
        """Whether it decides without tolerances."""

    def version(self) -> str:
        """The installed version; SolverError if it is not installed."""

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> Session:
        """Load a program. The `extra_rows` follow the program's own rows, and have no bounds at first."""

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> Relaxation:
        """Load the linear relaxation of a program, with the same extra rows. Called only if the solver `relaxes`."""


def limited(solver: Solver, limit_s: float | None) -> Solver:
    """The solver, which spends no more than this time (s) on one program with integers if it is a dataclass with a field
    `program_limit_s`."""
    own = getattr(solver, "program_limit_s", None)
    if limit_s is None or own is None:
        return solver
    found: Solver = replace(cast(Any, solver), program_limit_s=min(own, limit_s))
    return found


def names() -> list[str]:
    """The names of the solvers that lmos has, in alphabetical order."""
    return [name for name in modules_of(*__path__) if name not in {"exports", "settings"}]


def get(solver: str | Solver, options: Options = NOTHING) -> Solver:
    """The solver of a name, with options by the solver's own names; a Solver is returned unchanged if there are no options.

    Raises InputError for an unknown name, and for options that the solver does not take.
    """
    found = _named(solver) if isinstance(solver, str) else solver
    if not checked(options):
        return found
    if not isinstance(found, Configurable):
        raise no_options(found.name)
    return found.with_options(options)


def _named(solver: str) -> Solver:
    if solver not in names():
        raise InputError("solver", f"{solver!r} is not a solver; there are {', '.join(names())}{likely(solver, names())}")
    found: Solver = import_module(f"{__name__}.{solver}").SOLVER
    return found
