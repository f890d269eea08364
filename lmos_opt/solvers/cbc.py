"""CBC through its command cbc. Every solve writes a file and starts a process.

Solutions are read from the binary file of `saveSolution`, which has all digits; the text file has eight. Preprocessing and
presolve are off in all sets of settings except the last, because they use tolerances and their steps cannot be checked.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lmos_opt.processes.commands import ANSWER, MODEL, find_command, run_command
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers import Status
from lmos_opt.solvers.exports import FileRelaxation, FileSession, SolverAnswer, as_arguments
from lmos_opt.solvers.settings import Options, Settings

_TIGHT = ("-primalTolerance", "1e-9", "-dualTolerance", "1e-9")
_OPTIONS = {"primalTolerance": 1e-9, "dualTolerance": 1e-9, "integerTolerance": 1e-9, "allowableGap": 0.0, "ratioGap": 0.0}
"""The tolerances that `_TIGHT` and `_EXACT` set, for `settings`."""
_EXACT = ("-integerTolerance", "1e-9", "-allowableGap", "0", "-ratioGap", "0", "-increment", "0")
"""No gaps, and no least amount (`increment`) by which a new solution must be better."""
_SETTINGS = (
    ("-presolve", "off", "-preprocess", "off"),
    ("-presolve", "off", "-preprocess", "off", "-cutsOnOff", "off", "-heuristicsOnOff", "off", "-randomCbcSeed", "1"),
    ("-randomCbcSeed", "2"),
)
_HEAD = struct.Struct("=iid")
_MARK = " - objective value"
_VERDICTS = {
    "Optimal": Status.OPTIMAL,
    "Infeasible": Status.INFEASIBLE,
    "Integer infeasible": Status.INFEASIBLE,
    "Unbounded": Status.UNBOUNDED,
    "Stopped on time": Status.TIME_LIMIT,
    "Stopped on ctrl-c": Status.INTERRUPTED,
}


def read_solution(printed: str, written: bytes) -> SolverAnswer:
    """The answer of cbc, from what it printed and from its solution file.

    The last printed line with an objective value begins with the status. The file holds the numbers of rows and of columns, the
    objective, values and duals of the rows, values and duals of the columns.
    """
    verdict = next((line for line in reversed(printed.splitlines()) if _MARK in line), "no verdict")
    status = _VERDICTS.get(verdict.partition(_MARK)[0], Status.FAILED)
    if status is not Status.OPTIMAL or len(written) < _HEAD.size:
        return SolverAnswer(Status.FAILED if status is Status.OPTIMAL else status, message=verdict)
    rows, columns, _ = _HEAD.unpack_from(written)
    numbers = np.frombuffer(written, dtype=np.float64, offset=_HEAD.size)
    return SolverAnswer(status, numbers[2 * rows : 2 * rows + columns], numbers[rows : 2 * rows], verdict)


@dataclass(frozen=True)
class Cbc:
    """CBC, COIN-OR's branch and cut. `limit_s` is the largest time (s) of one solve."""

    name: str = "cbc"
    attempts: int = len(_SETTINGS)
    relaxes: bool = True
    exact: bool = False
    limit_s: float = 600.0
    options: Options = field(default_factory=dict, hash=False)

    @property
    def settings(self) -> Settings:
        """See `Configurable.settings`."""
        used = {"randomCbcSeed": None, **_OPTIONS, **self.options}
        return Settings.read(used, self.options, "randomCbcSeed", "threads", tuple(_OPTIONS))

    def with_options(self, options: Options) -> Cbc:
        """See `Configurable.with_options`. An unknown option is refused only when cbc runs."""
        return replace(self, options={**self.options, **options})

    def version(self) -> str:
        """CBC's version."""
        printed, _ = run_command(self.name, [self._command(), "-quit"], "", self.limit_s) or ("", b"")
        found = (line.partition("Version:")[2].strip() for line in printed.splitlines() if line.startswith("Version:"))
        return next(found, "unknown")

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
        options = ["-presolve", "off", *_TIGHT, "-initialSolve"]
        if attempt is not None:
            options = [*_TIGHT, *_EXACT, *_SETTINGS[attempt], "-sec", str(self.limit_s), "-branchAndCut"]
        *setting, solve = options
        own = as_arguments(self.options, "-")
        command = [self._command(), MODEL, *setting, *own, solve, "-saveSolution", ANSWER, "-solution", "stdout"]
        done = run_command(self.name, command, text, self.limit_s)
        return read_solution(*done) if done is not None else SolverAnswer(Status.TIME_LIMIT, message="time limit")

    def _command(self) -> str:
        return find_command(self.name, "cbc", "coinor-cbc")


SOLVER = Cbc()
