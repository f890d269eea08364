"""GLPK through its command glpsol. Every solve writes a file and starts a process.

The tolerances of glpsol cannot be changed. Integers may be off by 1e-5, and a branch is not searched if it is better by less than
1e-7 of the objective. So its optimum is no proof if values are close together. Its relaxations, read with all their digits, serve
the certified search as well as those of any solver.

Its integer presolver is off in all sets of settings except the last, because it uses the same tolerances and its steps cannot be
checked. Its linear presolver is always off, because it gives no duals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from lmos_opt.processes.commands import ANSWER, MODEL, find_command, run_command
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers import Status
from lmos_opt.solvers.exports import FileRelaxation, FileSession, SolverAnswer, as_arguments
from lmos_opt.solvers.settings import Options, Settings

_LP = ("--nomip", "--nopresol", "--noscale")
"""Options of relaxations. Rows are scaled already. If glpsol scales them too, duals are less exact, and VGG19's front takes twice
the time."""
_SETTINGS = (
    ("--nopresol", "--nointopt", "--mipgap", "0"),
    ("--nopresol", "--nointopt", "--mipgap", "0", "--mostf", "--dfs", "--norelax", "--nosteep"),
    ("--intopt", "--mipgap", "0", "--cuts"),
)
_NOTHING = ("PROBLEM HAS NO PRIMAL FEASIBLE SOLUTION", "LP HAS NO PRIMAL FEASIBLE SOLUTION",
            "PROBLEM HAS NO INTEGER FEASIBLE SOLUTION")
_ENDLESS = ("PROBLEM HAS UNBOUNDED SOLUTION", "LP HAS UNBOUNDED PRIMAL SOLUTION")
"""Messages that mean unbounded. "NO DUAL FEASIBLE SOLUTION" is not one of them: the program may be infeasible."""


def read_solution(printed: str, written: bytes) -> SolverAnswer:
    """The answer of glpsol, from what it printed and from its solution file (`s`: status, `i`: a row, `j`: a column)."""
    lines = [line.split() for line in written.decode().splitlines()]
    kind = next((line[1:] for line in lines if line[:1] == ["s"]), [])
    last = next((line for line in reversed(printed.splitlines()) if line in _NOTHING + _ENDLESS), "")
    if kind[:1] == ["mip"] and kind[3] == "o":
        return SolverAnswer(Status.OPTIMAL, np.array([float(line[2]) for line in lines if line[:1] == ["j"]]), None, "optimal")
    if kind[:1] == ["bas"] and kind[3:5] == ["f", "f"]:
        return SolverAnswer(Status.OPTIMAL, np.array([float(line[3]) for line in lines if line[:1] == ["j"]]),
                            np.array([float(line[4]) for line in lines if line[:1] == ["i"]]), "optimal")
    if last in _NOTHING or (kind[:1] == ["mip"] and kind[3] == "n"):
        return SolverAnswer(Status.INFEASIBLE, message=last or "no integer feasible solution")
    if last in _ENDLESS:
        return SolverAnswer(Status.UNBOUNDED, message=last)
    if "TIME LIMIT EXCEEDED" in printed:
        return SolverAnswer(Status.TIME_LIMIT, message="time limit")
    return SolverAnswer(Status.FAILED, message=f"glpsol's solution is {' '.join(kind[3:-1]) or 'missing'}")


@dataclass(frozen=True)
class Glpk:
    """GLPK, the GNU Linear Programming Kit. `limit_s` is the largest time (s) of one solve."""

    name: str = "glpk"
    attempts: int = len(_SETTINGS)
    relaxes: bool = True
    exact: bool = False
    limit_s: float = 600.0
    options: Options = field(default_factory=dict, hash=False)

    @property
    def settings(self) -> Settings:
        """See `Configurable.settings`. Only the tolerance `mipgap` is set here; `tolint` is glpsol's own."""
        return Settings.read({"tolint": 1e-5, "mipgap": 0.0, **self.options}, self.options, "seed", "", ("tolint", "mipgap"))

    def with_options(self, options: Options) -> Glpk:
        """See `Configurable.with_options`. An unknown option is refused only when glpsol runs."""
        return replace(self, options={**self.options, **options})

    def version(self) -> str:
        """GLPK's version."""
        printed, _ = run_command(self.name, [self._command(), "--version"], "", self.limit_s) or ("", b"")
        return printed.partition("\n")[0].rpartition(" ")[2] or "unknown"

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> FileSession:
        """See `Solver.open`."""
        self._command()
        return FileSession(self.ask, milp, extra_rows)

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> FileRelaxation:
        """See `Solver.relax`."""
        self._command()
        return FileRelaxation(self.name, self.ask, milp, extra_rows)

    def ask(self, text: str, attempt: int | None) -> SolverAnswer:
        """Solve the text of an MPS file; see `Ask`."""
        options = _LP if attempt is None else _SETTINGS[attempt]
        command = [self._command(), "--freemps", MODEL, "-w", ANSWER, "--tmlim", str(ceil(self.limit_s)), *options,
                   *as_arguments(self.options, "--")]
        done = run_command(self.name, command, text, self.limit_s)
        return read_solution(*done) if done is not None else SolverAnswer(Status.TIME_LIMIT, message="time limit")

    def _command(self) -> str:
        return find_command(self.name, "glpsol", "glpk-utils")


SOLVER = Glpk()
