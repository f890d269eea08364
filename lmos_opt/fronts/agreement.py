"""Whether the two definitions of an objective agree: its `value` of a split, and its `expression` at the same split.

An expression may use variables that only rows bound, such as the time of the slowest stage. It then has a range of values, and the
best end of this range is its value. Both are found row by row, without a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from lmos_opt.programs.milp import Array, LinearForm, Milp

AGREEMENT = 1e-9
"""Two sums are equal if they differ by at most this share of the sum of their absolute terms. Rounding is far below it."""
PASSES = 8
"""The most passes over the rows; each uses the bounds that the pass before found."""


@dataclass(frozen=True)
class Attainable:
    """The range of a form. `ends` says that both ends are attained. `size` is the sum of its absolute terms."""

    low: float
    high: float
    ends: bool
    size: float

    def best(self, sense: str) -> float:
        """The best end of the range for the sense `min` or `max`."""
        return self.low if sense == "min" else self.high

    def admits(self, value: float, sense: str) -> bool:
        """Whether the value is the form's best one. If the ends may not be attained: whether it lies in the range."""
        margin = AGREEMENT * (self.size + abs(value))
        if self.ends:
            return abs(value - self.best(sense)) <= margin
        return self.low - margin <= value <= self.high + margin


def attainable(milp: Milp, form: LinearForm, x: Array, unknown: NDArray[np.int64]) -> Attainable:
    """The range of the form if all columns except the unknown ones are as in x, shape (columns,)."""
    low, high = x.copy(), x.copy()
    low[unknown], high[unknown] = milp.lower[unknown], milp.upper[unknown]
    is_open = np.zeros(len(x), dtype=bool)
    is_open[unknown] = True
    used = is_open[form.columns] & (form.coefficients != 0)
    size = float(np.abs(form.coefficients[~used] * x[form.columns[~used]]).sum()) + abs(form.constant)
    if not used.any():
        value = form.at(x)
        return Attainable(value, value, True, size)
    rows = [k for k, row in enumerate(milp.rows) if is_open[row.columns].any()]
    for _ in range(PASSES):
        before = low.copy(), high.copy()
        for k in rows:
            _tighten(milp.rows[k], float(milp.row_lower[k]), float(milp.row_upper[k]), is_open, low, high)
        if np.array_equal(before[0], low) and np.array_equal(before[1], high):
            break
    wanted = set(form.columns[used].tolist())
    alone = all(int(is_open[milp.rows[k].columns].sum()) == 1 for k in rows if wanted & set(milp.rows[k].columns.tolist()))
    ends = [_span(form, low, high, form.constant), _span(form, high, low, form.constant)]
    for k in rows:
        row = milp.rows[k]
        if wanted & set(row.columns.tolist()):
            held = ~is_open[row.columns]
            size = max(size, float(np.abs(row.coefficients[held] * x[row.columns[held]]).sum()))
    return Attainable(ends[0], ends[1], alone and all(map(isfinite, ends)), size)


def _span(form: LinearForm, low: Array, high: Array, constant: float = 0.0) -> float:
    """The least value of the form for columns in [low, high]; its largest value if `low` and `high` are exchanged."""
    c = form.coefficients
    terms = np.where(c > 0, c * low[form.columns], c * high[form.columns])
    terms[c == 0] = 0.0
    return float(terms.sum()) + constant


def _tighten(row: LinearForm, least: float, most: float, is_open: NDArray[np.bool_], low: Array, high: Array) -> None:
    """Narrow the bounds of the row's open columns, from the row's sides and the bounds of its other columns."""
    for column, c in zip(row.columns.tolist(), row.coefficients.tolist(), strict=True):
        if not is_open[column] or c == 0:
            continue
        rest = LinearForm(row.columns[row.columns != column], row.coefficients[row.columns != column])
        smallest, largest = _span(rest, low, high), _span(rest, high, low)
        ends = ((least - largest) / c if isfinite(largest) else -inf * c, (most - smallest) / c if isfinite(smallest) else inf * c)
        low[column] = max(low[column], min(ends))
        high[column] = min(high[column], max(ends))
