"""Why a front could not be completed."""

from __future__ import annotations

from collections.abc import Sequence

from lmos_opt.errors import LmosError
from lmos_opt.solvers import Status


class TradeOffError(LmosError):
    """Objectives are traded off by continuous variables, named in `variables`: the front has infinitely many points."""

    def __init__(self, variables: Sequence[str]) -> None:
        self.variables = tuple(variables)
        shown = ", ".join(self.variables[:5]) + (", ..." if len(self.variables) > 5 else "")
        super().__init__(f"the continuous variables {shown} trade the objectives off, so the front has infinitely many points: "
                         "step= sets the distance between them")


class SubproblemError(LmosError):
    """A subproblem that no setting of the solver could answer; `status` is the last one."""

    def __init__(self, status: Status, message: str) -> None:
        self.status = status
        super().__init__(message)
