"""Solvers: one file for each. `solvers/NAME.py` holds `SOLVER`; the file's name registers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib import import_module
from typing import Protocol

from lmos_opt.errors import InputError
from lmos_opt.imports import modules_of
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers.settings import NOTHING, Configurable, Options, checked, no_options


class Status(Enum):
    """What a solve proved. Only INFEASIBLE says that there is no solution; everything else that is not OPTIMAL is a failure."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """A solve's status, its solution if it is OPTIMAL, and the solver's own name of the status."""

    status: Status
    x: Array | None = None
    message: str = ""


class Session(Protocol):
    """A model kept alive in a solver: between solves only an objective, row bounds or hints change."""

    def solve(self, objective: LinearForm, row_upper: dict[int, float], excluded: Sequence[Array], attempt: int) -> Outcome:
        """Minimise `objective` with upper bounds on some of the extra rows, without the `excluded` binary vectors.

        A caller that doubts an answer asks again: each `attempt` solves the same problem with another set of settings.
        """


@dataclass(frozen=True)
class Relaxed:
    """A relaxation's status, its solution and its row duals y, with which `c - A'y` are the reduced costs.

    If it is infeasible, `duals` are a ray of such y that proves it: the bound of `0 x` that it gives is positive.
    """

    status: Status
    x: Array | None
    duals: Array | None


class Relaxation(Protocol):
    """The linear relaxation of a model, kept alive: a search tree changes column bounds only."""

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """Set the objective to minimise and the upper bounds of some extra rows."""

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """Solve with these column bounds."""

    def forget(self) -> None:
        """Solve the next one from the beginning, without the memory of earlier ones."""


class Stretched:
    """A relaxation over columns measured in other units: a solver's tolerance is absolute, so ranges should be alike.

    `units` holds the unit of each column; inputs and outputs are in the columns' own units. Row duals are the same.
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
    """A solver: its name, its number of sets of settings, what it can do, and how to open a session.

    `relaxes` says that `relax` gives relaxations with row duals: answers are then certified by branch and bound if this is
    possible. `exact` says that it decides without tolerances, so that its own answer is a proof. A front that rests on the answers
    of another solver is incomplete, unless tolerances cannot change the answer (`lmos_opt.algorithms.belief`).
    """

    @property
    def name(self) -> str:
        """The name that selects it, as in `--solver NAME`."""

    @property
    def attempts(self) -> int:
        """The number of sets of settings of `Session.solve`."""

    @property
    def relaxes(self) -> bool:
        """Whether it gives linear relaxations with row duals."""

    @property
    def exact(self) -> bool:
        """Whether it decides without tolerances."""

    def version(self) -> str:
        """The installed version; SolverError if it is not installed."""

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> Session:
        """Load a model; `extra_rows` follow the model's own rows and start without bounds."""

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> Relaxation:
        """Load a model's linear relaxation, with the same extra rows; asked only of a solver that `relaxes`."""


def names() -> list[str]:
    """The shipped solvers."""
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
        raise InputError("solver", f"{solver!r} is not a solver; there are {', '.join(names())}")
    found: Solver = import_module(f"{__name__}.{solver}").SOLVER
    return found
