"""Whether two writings of an objective agree: its `value` of an edge set, and its `expression` at it.

An expression may have variables of its own, as the slowest of some stages, which nothing but rows holds. Then it says
between which numbers it can lie, and which of them is the best; both are found row by row, without a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from lmos_opt.programs.milp import Array, LinearForm, Milp

AGREEMENT = 1e-9
"""Relative difference, of all that is added up, up to which two sums are one number: rounding is far below."""
PASSES = 8
"""How often rows are gone through, each time with what the time before found."""


@dataclass(frozen=True)
class Attainable:
    """Between which numbers a form can lie; `ends` says that it attains them, `size` how much is added up."""

    low: float
    high: float
    ends: bool
    size: float

    def best(self, sense: str) -> float:
        """The end that the sense wants."""
        return self.low if sense == "min" else self.high

    def admits(self, value: float, sense: str) -> bool:
        """Whether the value is the form's: its best, or, where that is not known for sure, one that it may take."""
        margin = AGREEMENT * (self.size + abs(value))
        if self.ends:
            return abs(value - self.best(sense)) <= margin
        return self.low - margin <= value <= self.high + margin


def attainable(milp: Milp, form: LinearForm, x: Array, unknown: NDArray[np.int64]) -> Attainable:
    """What the form can be where all columns but the unknown ones are as in x."""
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
    """The form with every column at the end of [low, high] that makes it least; with the ends exchanged, most."""
    c = form.coefficients
    terms = np.where(c > 0, c * low[form.columns], c * high[form.columns])
    terms[c == 0] = 0.0
    return float(terms.sum()) + constant


def _tighten(row: LinearForm, least: float, most: float, is_open: NDArray[np.bool_], low: Array, high: Array) -> None:
    """Bounds of the row's open columns from the row and the bounds of all the others."""
    for column, c in zip(row.columns.tolist(), row.coefficients.tolist(), strict=True):
        if not is_open[column] or c == 0:
            continue
        rest = LinearForm(row.columns[row.columns != column], row.coefficients[row.columns != column])
        smallest, largest = _span(rest, low, high), _span(rest, high, low)
        ends = ((least - largest) / c if isfinite(largest) else -inf * c, (most - smallest) / c if isfinite(smallest) else inf * c)
        low[column] = max(low[column], min(ends))
        high[column] = min(high[column], max(ends))
