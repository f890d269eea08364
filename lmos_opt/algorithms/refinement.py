"""Continuous values to the last digits, by iterative refinement.

A solver's values are off by its tolerance. The remaining errors of rows and bounds are computed, magnified, and given to the solver
as a new program. Its solution is scaled back and added (Gleixner, Steffy and Wolter, "Iterative refinement for linear programming",
INFORMS J. Computing 28, 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Solver

MAGNIFIED = 2.0**30
"""Errors are multiplied by this, so a tolerance of 1e-9 becomes one of 1e-18."""
ROUNDING = 1e-12
"""A column is at a bound if it is nearer to it than this, in its unit."""
FAR = 1e7
"""A bound farther away than this, in units of the column, does not limit the correction."""


class Refinement:
    """Moves the continuous columns of a vector to where an objective is least, while its integers stay fixed."""

    def __init__(self, milp: Milp, extra_rows: Sequence[LinearForm], units: Array, solver: Solver) -> None:
        self._milp, self._units, self._solver = milp, units, solver
        self._rows = [*milp.rows, *extra_rows]
        self._n_extra = len(extra_rows)

    def refined(self, x: Array, objective: LinearForm, row_upper: dict[int, float]) -> Array:
        """The vector after one round; unchanged if the solver finds none. `row_upper` are bounds of extra rows by index."""
        milp = self._milp
        columns = np.flatnonzero(~milp.integer & (milp.lower < milp.upper))
        position = np.full(len(x), -1)
        position[columns] = np.arange(len(columns))
        units = self._units[columns]

        def part(form: LinearForm) -> LinearForm:
            kept = position[form.columns] >= 0
            return LinearForm(position[form.columns[kept]], form.coefficients[kept] * self._units[form.columns[kept]])

        lower = np.concatenate([milp.row_lower, np.full(self._n_extra, -np.inf)])
        upper = np.concatenate([milp.row_upper, np.full(self._n_extra, np.inf)])
        upper[list(row_upper)] = list(row_upper.values())
        rows, lows, highs = [], [], []
        for form, low, high in zip(self._rows, lower, upper, strict=True):
            row = part(form)
            if len(row.columns) and (np.isfinite(low) or np.isfinite(high)):
                at = form.at(x)
                rows.append(row)
                lows.append(MAGNIFIED * (low - at))
                highs.append(MAGNIFIED * (high - at))
        below = MAGNIFIED * (milp.lower[columns] - x[columns]) / units
        above = MAGNIFIED * (milp.upper[columns] - x[columns]) / units
        small = Milp(milp.name, tuple(milp.variables[k] for k in columns), np.maximum(below, -FAR), np.minimum(above, FAR),
                     np.zeros(len(columns), dtype=bool), tuple(rows), np.array(lows), np.array(highs))  # fmt: skip
        relaxation = self._solver.relax(small, ())
        relaxation.pose(part(objective), {})
        found = relaxation.solve(small.lower, small.upper)
        if found.x is None:
            return x
        moved = x.copy()
        moved[columns] += units * found.x / MAGNIFIED
        at_low, at_high = found.x <= below + MAGNIFIED * ROUNDING, found.x >= above - MAGNIFIED * ROUNDING
        moved[columns] = np.where(at_low, milp.lower[columns], np.where(at_high, milp.upper[columns], moved[columns]))
        return moved
