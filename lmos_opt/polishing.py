"""Continuous values to the last digits: a solver's are off by its tolerance, the corner that they stand for is not."""

from __future__ import annotations

import numpy as np

from lmos_opt.milp import Array, Milp

AT_BOUND = 2e-9
"""A column this near to a bound is at it: twice the tolerance of a solver."""
ROUNDING = 1e-13
"""What least squares may leave of a value that is its bound."""
TIGHT = 1e-8
"""A row this near to its side, relative to what it adds up and to one at least, is one that the corner lies on."""
MOST_COLUMNS = 300
"""With more continuous columns than these the least squares would take longer than the search."""


class Polisher:
    """Moves the continuous columns of a vector onto the rows and bounds that they lie on within a solver's tolerance."""

    def __init__(self, milp: Milp) -> None:
        self._milp = milp
        self._continuous = np.flatnonzero(~milp.integer)
        self._matrix = np.zeros((len(milp.rows), len(milp.variables))) if len(self._continuous) <= MOST_COLUMNS else None
        if self._matrix is not None:
            for k, row in enumerate(milp.rows):
                self._matrix[k, row.columns] += row.coefficients

    def polished(self, x: Array) -> Array:
        """The vector on its corner; as it is where there is no continuous column, or nothing near that fits all rows."""
        if self._matrix is None or not len(self._continuous):
            return x
        found, columns = x.copy(), self._continuous
        low, high = self._milp.lower[columns], self._milp.upper[columns]
        at_low, at_high = x[columns] <= low + AT_BOUND, x[columns] >= high - AT_BOUND
        found[columns] = np.where(at_low, low, np.where(at_high, high, x[columns]))
        free = columns[~at_low & ~at_high]
        size = np.maximum(np.abs(self._matrix) @ np.abs(x), 1.0)
        activity = self._matrix @ x
        row_lower, row_upper = self._milp.row_lower, self._milp.row_upper
        lower_near, upper_near = activity <= row_lower + TIGHT * size, activity >= row_upper - TIGHT * size
        tight = lower_near | upper_near
        side = np.where(lower_near, row_lower, row_upper)[tight]
        part = self._matrix[np.ix_(tight, free)]
        if not part.size:
            return found
        for _ in range(2):  # the second takes off what the first rounded
            missed = side - self._matrix[tight] @ found
            found[free] += np.linalg.lstsq(part, missed, rcond=None)[0]
        values = found[columns]  # on a bound after all, but for rounding
        values = np.where(np.abs(values - low) <= ROUNDING, low, np.where(np.abs(values - high) <= ROUNDING, high, values))
        found[columns] = values
        return found
