"""How a cost is scaled for a solver, and which of its values count as different."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmos_opt.programs.milp import LinearForm, Milp

SPREAD = 1e4
"""Scaled objectives move over at most this range: 1e13 times the feasibility tolerance, 1e12 times a double's grain."""
STEP = 2e-8
"""How far below a real value the next bound is put, on that scale: 20 feasibility tolerances."""
RESOLUTION = 1e-8
"""Real values nearer than this, on that scale (1e-12 of the spread), count as the same value: smaller differences are rounding."""
RELATIVE = RESOLUTION / SPREAD
"""The same as a share: of the spread, and of a value itself if it is known to its last digits."""
LOOSE_RESOLUTION = 1e-6
"""The same if continuous variables enter the objective: their values have errors as large as a solver's tolerance."""


@dataclass(frozen=True)
class Scale:
    """How one cost is scaled for the solver, and which values of it count as different."""

    form: LinearForm
    factor: float
    granule: float | None
    resolution: float
    step: float

    @property
    def gap(self) -> float:
        """The least scaled cost by which a better solution is better."""
        return self.factor * (0.75 * self.granule if self.granule is not None else self.resolution)

    def row_bound(self, value: float, strict: bool) -> float:
        """The bound of the scaled row for a limit in the cost's own unit: at most that value, or strictly below it."""
        if self.granule is not None:
            offset = -self.granule / 2 if strict else self.granule / 2
        else:
            offset = -self.step if strict else self.resolution
        return self.factor * (value - self.form.constant + offset)


def scale_of(milp: Milp, form: LinearForm, granule: float | None, values_exact: bool, wanted: float | None) -> Scale:
    """The scale of a cost; `wanted` is a step that was asked for, in its own unit."""
    granule = granule or milp.granule(form)
    spread = milp.spread(form)
    if spread == 0:  # one value: any lower bound is one below it, by enough for a double to show
        granule, spread = max(1.0, abs(form.at(np.nan_to_num(milp.lower)) - form.constant)), 1.0
    factor = SPREAD / spread
    if granule is not None and wanted is None:
        return Scale(form, min(1 / granule, factor), granule, granule / 4, granule / 2)
    exact = values_exact or bool(np.all(milp.integer[form.columns[form.coefficients != 0]]))
    resolution, step = (RESOLUTION, STEP) if exact else (LOOSE_RESOLUTION, 4 * LOOSE_RESOLUTION)
    return Scale(form, factor, None, resolution / factor, wanted or step / factor)


def indistinct(milp: Milp, names: Sequence[str], scales: Sequence[Scale]) -> str | None:
    """Why different values of an objective, or of a constraint, may count as one; None if none do."""
    if fine := milp.fine_term():
        return f"{fine}: what it allows is not proved"
    for name, scale in zip(names, scales, strict=True):
        form = scale.form
        used = milp.integer[form.columns] & (milp.lower < milp.upper)[form.columns]
        if scale.granule is None and used.any():
            k = np.flatnonzero(used)[np.argmin(np.abs(form.coefficients[used]))]
            if abs(form.coefficients[k]) < scale.resolution:
                return (f"objective {name}: its term {form.coefficients[k]:.6g} * {milp.variables[form.columns[k]]} is "
                        f"finer than what can be told apart ({scale.resolution:.3g}) where it moves by "
                        f"{milp.spread(form):.3g}: there may be more points")
            if np.all(form.coefficients == np.rint(form.coefficients)) and scale.resolution > 0.5:
                largest = np.abs(form.coefficients).max()
                return (f"objective {name}: it has whole numbers such as {largest:.16g}, and adds up more of them than "
                        "doubles tell apart: there may be more points")
    return None
