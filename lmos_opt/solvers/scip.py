"""SCIP through pyscipopt (the extra `solvers`). Programs are read from a file; relaxations stay loaded in its LP solver.

Presolving is off in the first two of three sets of settings, for the reason that `lmos_opt.solvers.highs` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lmos_opt.errors import SolverError
from lmos_opt.processes.commands import MODEL
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Relaxed, Status
from lmos_opt.solvers.exports import FileSession, SolverAnswer
from lmos_opt.solvers.settings import Options, Settings, refused, unknown

FEASIBILITY_TOLERANCE = 1e-9
"""The tolerance of relaxations. It is SCIP's own epsilon: numbers that differ by less count as equal."""

_BASE: dict[str, Any] = {
    "numerics/feastol": 1e-7,  # if in doubt, SCIP gives its LP solver a thousandth of this, and that solver takes 1e-10 at least
    "numerics/dualfeastol": 1e-7,
    "limits/gap": 0.0,
    "limits/absgap": 0.0,
    "parallel/maxnthreads": 1,
}
_NO_PRESOLVE = {"presolving/maxrounds": 0, "lp/presolving": False}
_SETTINGS: tuple[dict[str, Any], ...] = (
    _NO_PRESOLVE,
    {**_NO_PRESOLVE, "separating/maxrounds": 0, "separating/maxroundsroot": 0, "randomization/randomseedshift": 1},
    {"randomization/randomseedshift": 2},
)
_TOLERANCES = ("numerics/feastol", "numerics/dualfeastol", "limits/gap", "limits/absgap")
_SEED = "randomization/randomseedshift"
_STATUS = {
    "optimal": Status.OPTIMAL,
    "infeasible": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "timelimit": Status.TIME_LIMIT,
    "userinterrupt": Status.INTERRUPTED,
}


def _scip() -> Any:
    """The package pyscipopt. SolverError, which says how to install it, if it is missing."""
    try:
        import pyscipopt
    except ImportError as error:
        raise SolverError("scip", "pyscipopt is not installed; get it by: pip install 'lmos[solvers]'") from error
    return pyscipopt


class ScipRelaxation:
    """The linear relaxation, which stays loaded in SCIP's LP solver.

    Each solve starts from scratch: solves that start from the last basis after bounds have changed sometimes end in errors.
    """

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> None:
        self._lp = lp = _scip().LP()
        parameters = _scip().scip.PY_SCIP_LPPARAM
        lp.setRealParam(parameters.FEASTOL, FEASIBILITY_TOLERANCE)
        lp.setRealParam(parameters.DUALFEASTOL, FEASIBILITY_TOLERANCE)
        lp.setIntParam(parameters.FROMSCRATCH, 1)
        rows = [*milp.rows, *extra_rows]
        self._n, self._bounded = len(milp.variables), set[int]()
        infinity = lp.infinity()
        free = np.full(len(extra_rows), np.inf)
        lp.addCols([[] for _ in milp.variables], lbs=np.clip(milp.lower, -infinity, infinity).tolist(),
                   ubs=np.clip(milp.upper, -infinity, infinity).tolist())  # fmt: skip
        if rows:
            lp.addRows([list(zip(row.columns.tolist(), row.coefficients.tolist(), strict=True)) for row in rows],
                       np.clip([*milp.row_lower, *-free], -infinity, infinity).tolist(),
                       np.clip([*milp.row_upper, *free], -infinity, infinity).tolist())  # fmt: skip

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        """See `Relaxation.pose`."""
        lp = self._lp
        cost = np.bincount(objective.columns, objective.coefficients, self._n) if len(objective.columns) else np.zeros(self._n)
        for column, value in enumerate(cost.tolist()):
            lp.chgObj(column, value)
        for row in self._bounded.difference(row_upper):
            lp.chgSide(row, -lp.infinity(), lp.infinity())
        for row, bound in row_upper.items():
            lp.chgSide(row, -lp.infinity(), float(bound))
        self._bounded = set(row_upper)

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        """See `Relaxation.solve`."""
        lp = self._lp
        infinity = lp.infinity()
        for column, (low, high) in enumerate(zip(lower.tolist(), upper.tolist(), strict=True)):
            lp.chgBound(column, max(low, -infinity), min(high, infinity))
        try:
            lp.solve()
        except Exception as error:  # pyscipopt has no class of its own for this
            if "error in LP solver" not in str(error):
                raise
            return Relaxed(Status.FAILED, None, None)
        if lp.isOptimal():
            return Relaxed(Status.OPTIMAL, np.array(lp.getPrimal()), np.array(lp.getDual()))
        ray = lp.getDualRay()
        return Relaxed(Status.INFEASIBLE, None, np.array(ray)) if ray is not None else Relaxed(Status.FAILED, None, None)

    def forget(self) -> None:
        """See `Relaxation.forget`. Each solve starts from scratch anyway."""


@dataclass(frozen=True)
class Scip:
    """SCIP. `limit_s` is the largest time (s) of one solve of a program with integers.

    `options` are parameters of SCIP, and apply to programs with integers. Relaxations use its LP solver alone, without them.
    """

    name: str = "scip"
    attempts: int = len(_SETTINGS)
    relaxes: bool = True
    exact: bool = False
    limit_s: float = 600.0
    options: Options = field(default_factory=dict, hash=False)

    @property
    def settings(self) -> Settings:
        """See `Configurable.settings`."""
        used = {_SEED: 0, **_BASE, **_SETTINGS[0], **self.options}
        return Settings.read(used, self.options, _SEED, "parallel/maxnthreads", _TOLERANCES)

    def with_options(self, options: Options) -> Scip:
        """See `Configurable.with_options`."""
        model = _scip().Model()
        model.hideOutput()
        for name, value in options.items():
            if name not in model.getParams():
                raise unknown("SCIP", name)
            try:
                model.setParam(name, value)
            except Exception as error:  # pyscipopt has no class of its own for this
                raise refused("SCIP", name, value, "expected a value of its type within its range") from error
        return replace(self, options={**self.options, **options})

    def version(self) -> str:
        """SCIP's version."""
        model = _scip().Model()
        return f"{model.getMajorVersion()}.{model.getMinorVersion()}.{model.getTechVersion()}"

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> FileSession:
        """See `Solver.open`."""
        _scip()
        return FileSession(self.ask, milp, extra_rows)

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> ScipRelaxation:
        """See `Solver.relax`."""
        return ScipRelaxation(milp, extra_rows)

    def ask(self, text: str, attempt: int | None) -> SolverAnswer:
        """Solve the text of an MPS file; see `Ask`."""
        model = _scip().Model()
        model.hideOutput()
        model.setParams({**_BASE, **_SETTINGS[attempt or 0], "limits/time": self.limit_s, **self.options})
        with TemporaryDirectory(prefix="lmos-scip-") as folder:
            path = Path(folder) / MODEL
            path.write_text(text)
            model.readProblem(str(path))
        columns = model.getVars()
        model.optimize()
        word = str(model.getStatus())
        status = _STATUS.get(word, Status.FAILED)
        if status is not Status.OPTIMAL:
            return SolverAnswer(status, message=word)
        values = {v.name: model.getVal(v) for v in columns}
        return SolverAnswer(status, np.array([values[f"c{j}"] for j in range(len(columns))]), None, word)


SOLVER = Scip()
