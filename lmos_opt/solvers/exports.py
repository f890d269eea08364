"""For solvers that are commands: a program as a file in free MPS format, and sessions that run a command on it.

Every number has the fewest digits that read back as the same double. A row with two sides becomes two rows of the file, because
MPS writes the second side as a difference, which would be rounded. Rows without bounds are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from lmos_opt.errors import SolverError
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Outcome, Relaxed, Status


@dataclass(frozen=True)
class SolverAnswer:
    """The answer of a command: status, values of the file's columns, duals of the file's rows, and the command's own message."""

    status: Status
    columns: Array | None = None
    duals: Array | None = None
    message: str = ""


Ask = Callable[[str, int | None], SolverAnswer]
"""Solves the text of an MPS file with the set of settings of this number. None: a linear program, whose row duals are needed."""


@dataclass(frozen=True)
class Side:
    """A row of the file: the number of the program's row, the kind (L, G or E), and its bound."""

    row: int
    kind: str
    bound: float


class Program:
    """A program whose objective, upper bounds of extra rows and bounds of columns change from file to file."""

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> None:
        self.milp, self.rows = milp, [*milp.rows, *extra_rows]
        self._own = [side for k in range(len(milp.rows))
                     for side in _sides(k, float(milp.row_lower[k]), float(milp.row_upper[k]))]

    def sides(self, row_upper: dict[int, float]) -> list[Side]:
        """The file's rows for these bounds of extra rows."""
        return self._own + [Side(row, "L", float(bound)) for row, bound in sorted(row_upper.items())]

    def head(self, sides: Sequence[Side], objective: LinearForm | None, excluded: Sequence[Array] = (),
             integer: bool = False) -> str:  # fmt: skip
        """The file as far as the heading BOUNDS.

        Without an objective, the file minimises the sum of the amounts by which its rows are missed, which always has a
        solution. `excluded` are binary vectors, shape (variables,). Each adds a row, after `sides`, that only this vector
        violates.
        """
        milp = self.milp
        entries: list[list[str]] = [[] for _ in milp.variables]
        for j, value in enumerate(_dense(objective, len(entries))):
            entries[j].append(f" c{j} cost {value!r}")  # also a zero: a column exists if the file names it
        for k, side in enumerate(sides):
            for j, value in zip(*_entries(self.rows[side.row]), strict=True):
                entries[j].append(f" c{j} r{k} {value!r}")
        kinds, bounds = [side.kind for side in sides], [side.bound for side in sides]
        for known in excluded:
            for j in milp.integer_columns.tolist():
                entries[j].append(f" c{j} r{len(kinds)} {-1.0 if known[j] > 0.5 else 1.0}")
            kinds.append("G")
            bounds.append(1.0 - float(np.sum(known[milp.integer_columns] > 0.5)))
        lines = ["NAME lmos FREE", "ROWS", " N cost", *(f" {kind} r{k}" for k, kind in enumerate(kinds)), "COLUMNS"]
        for j, column in enumerate(entries):
            whole = integer and bool(milp.integer[j])
            lines += [f" a{j} 'MARKER' 'INTORG'", *column, f" b{j} 'MARKER' 'INTEND'"] if whole else column
        if objective is None:
            for k, kind in enumerate(kinds):
                for sign in {"L": (-1,), "G": (1,), "E": (-1, 1)}[kind]:
                    name = f"{'m' if sign < 0 else 'p'}{k}"
                    lines += [f" {name} cost 1", f" {name} r{k} {sign}"]
        lines += ["RHS", *(f" rhs r{k} {bound!r}" for k, bound in enumerate(bounds) if bound != 0), "BOUNDS", ""]
        return "\n".join(lines)

    def bounds(self, lower: Array, upper: Array) -> str:
        """The rest of the file: the bounds of the columns, shape (variables,)."""
        lines = []
        for j, (low, high) in enumerate(zip(lower.tolist(), upper.tolist(), strict=True)):
            lines.append(f" LO bnd c{j} {low!r}" if isfinite(low) else f" MI bnd c{j}")
            lines.append(f" UP bnd c{j} {high!r}" if isfinite(high) else f" PL bnd c{j}")
        return "\n".join([*lines, "ENDATA", ""])


class FileSession:
    """A `Session` that writes a file and runs a command for each solve."""

    def __init__(self, ask: Ask, milp: Milp, extra_rows: Sequence[LinearForm]) -> None:
        self._ask, self._program = ask, Program(milp, extra_rows)

    def solve(self, objective: LinearForm, row_upper: dict[int, float], excluded: Sequence[Array], attempt: int) -> Outcome:
        """See `Session.solve`."""
        program, milp = self._program, self._program.milp
        text = program.head(program.sides(row_upper), objective, excluded, integer=True)
        answer = self._ask(text + program.bounds(milp.lower, milp.upper), attempt)
        x = answer.columns if answer.status is Status.OPTIMAL else None
        return Outcome(answer.status, x, answer.message)


class FileRelaxation:
    """A `Relaxation` that writes a file and runs a command for each solve, and a second time if there is no solution.

    A command gives no Farkas ray. The second file minimises the amounts by which rows are missed; its row duals are such a ray.
    """

    def __init__(self, solver: str, ask: Ask, milp: Milp, extra_rows: Sequence[LinearForm]) -> None:
        self._solver, self._ask, self._program = solver, ask, Program(milp, extra_rows)
        self.pose(LinearForm(np.zeros(0, dtype=np.int64), np.zeros(0)), {})

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """See `Relaxation.pose`."""
        self._sides = self._program.sides(row_upper)
        self._head = self._program.head(self._sides, objective)
        self._missing: str | None = None

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """See `Relaxation.solve`. SolverError at the time limit: a search would only solve each half again."""
        bounds = self._program.bounds(lower, upper)
        answer = self._ask(self._head + bounds, None)
        if answer.status is Status.OPTIMAL:
            return Relaxed(answer.status, answer.columns, self._spread(answer.duals))
        if answer.status is Status.TIME_LIMIT:
            raise SolverError(self._solver, "a linear relaxation ran into the time limit")
        if answer.status is not Status.INFEASIBLE:
            return Relaxed(answer.status, None, None)
        if self._missing is None:
            self._missing = self._program.head(self._sides, None)
        missed = self._ask(self._missing + bounds, None)
        return Relaxed(answer.status, None, self._spread(missed.duals) if missed.status is Status.OPTIMAL else None)

    def forget(self) -> None:
        """See `Relaxation.forget`. A command always starts from scratch."""

    def _spread(self, duals: Array | None) -> Array | None:
        """The duals of the program's rows, shape (rows,), from those of the file's rows."""
        if duals is None:
            return None
        rows: NDArray[np.int64] = np.array([side.row for side in self._sides], dtype=np.int64)
        return np.bincount(rows, duals, len(self._program.rows)).astype(np.float64)


def as_arguments(options: Mapping[str, object], dashes: str) -> list[str]:
    """A user's options as arguments of a command: the name after dashes, then the value.

    True gives the name alone. False gives nothing.
    """
    return [word for name, value in options.items() if value is not False
            for word in (f"{dashes}{name}", *(() if value is True else (str(value),)))]


def _sides(row: int, lower: float, upper: float) -> list[Side]:
    if lower == upper:
        return [Side(row, "E", lower)]
    return [Side(row, kind, bound) for kind, bound in (("G", lower), ("L", upper)) if isfinite(bound)]


def _entries(form: LinearForm) -> tuple[list[int], list[float]]:
    """Columns and coefficients of a form, each column once, without zero coefficients."""
    if not len(form.columns):
        return [], []
    columns, place = np.unique(form.columns, return_inverse=True)
    values = np.bincount(place, form.coefficients)
    return columns[values != 0].tolist(), values[values != 0].tolist()


def _dense(form: LinearForm | None, size: int) -> list[float]:
    """The coefficient of every column; zeros without a form."""
    if form is None or not len(form.columns):
        return [0.0] * size
    found: list[float] = np.bincount(form.columns, form.coefficients, size).tolist()
    return found
