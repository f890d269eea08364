"""A mixed-integer linear program as arrays: `Milp` and its linear forms.

Solvers take these arrays. Algorithms use them for proofs. This module proves the least difference between two values of a form
(its granule), from coefficients and variable types, and says when a row counts as satisfied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import fsum, gcd

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LARGEST_EXACT = 2.0**53
ROW_SLACK = 1e-9
"""The slack of a row, as a share of the sum of its absolute terms or, if larger, of its scale: decimal numbers are rounded."""
WHOLE_ROW_SLACK = 1e-6
"""The largest slack of a row whose values are whole multiples of a number, as a share of that number."""
CONTINUOUS_ROW_SLACK = 1e-12
"""ROW_SLACK of a row with a continuous variable: the variable can be moved until the row holds, so only rounding needs a slack."""
RANGE_SLACK = 1e-13
"""The least slack of such a row, as a share of the largest possible sum of its continuous terms, whose values are not known better.
If CONTINUOUS_ROW_SLACK of the row's scale is less, that is the least slack."""
_EPSILON = float(np.finfo(float).eps)
_DECIMALS = 12
"""A coefficient with more decimal digits counts as a real number, so it has no granule."""
_GRAINS = 2.0**48
"""A form has a granule only if its values are at most so many granules in size. Doubles count up to 2**53."""


@dataclass(frozen=True)
class LinearForm:
    """The linear form `sum(coefficients[k] * x[columns[k]]) + constant`. Both arrays have the shape (terms,)."""

    columns: NDArray[np.int64]
    coefficients: Array
    constant: float = 0.0

    def at(self, x: Array) -> float:
        """The value at x, shape (columns of the program,): products are rounded, their sum is rounded once."""
        return fsum([*(self.coefficients * x[self.columns]).tolist(), self.constant])

    def __neg__(self) -> LinearForm:
        return LinearForm(self.columns, -self.coefficients, -self.constant)

    @staticmethod
    def sum_of(forms: Sequence[LinearForm]) -> LinearForm:
        """The sum of forms, without their constants."""
        columns = np.concatenate([form.columns for form in forms])
        total = np.zeros(int(columns.max(initial=-1)) + 1)
        np.add.at(total, columns, np.concatenate([form.coefficients for form in forms]))
        used = np.flatnonzero(total)
        return LinearForm(used, total[used])


@dataclass(frozen=True)
class Milp:
    """A program: variables with bounds and types, and rows `row_lower <= form <= row_upper`.

    `lower`, `upper` and `integer` have the shape (variables,), `row_lower` and `row_upper` the shape (rows,). A missing bound is
    infinite. The forms of rows have no constant. There is no objective: a solver gets one with each solve. `followers` are columns
    whose values the caller computes from the others: they need not be as good as their rows and bounds let them be.
    """

    name: str
    variables: tuple[str, ...]
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    rows: tuple[LinearForm, ...]
    row_lower: Array
    row_upper: Array
    row_names: tuple[str, ...] = ()
    followers: frozenset[int] = frozenset()

    @cached_property
    def integer_columns(self) -> NDArray[np.int64]:
        """Indices of the integer variables."""
        return np.flatnonzero(self.integer)

    @cached_property
    def is_binary(self) -> bool:
        """Whether every integer variable is binary."""
        columns = self.integer_columns
        return bool(np.all(self.lower[columns] >= 0) and np.all(self.upper[columns] <= 1))

    @cached_property
    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Row, column and coefficient of every entry of the matrix, each of shape (entries,)."""
        sizes = [len(row.columns) for row in self.rows]
        columns = np.concatenate([row.columns for row in self.rows]) if self.rows else np.zeros(0, dtype=np.int64)
        values = np.concatenate([row.coefficients for row in self.rows]) if self.rows else np.zeros(0)
        return np.repeat(np.arange(len(self.rows)), sizes), columns, values

    @cached_property
    def row_granules(self) -> Array:
        """The granule of each row (see `granule`); NaN if none is proved."""
        return np.array([self.granule(row) or np.nan for row in self.rows], dtype=float)

    @cached_property
    def _row_is_whole(self) -> NDArray[np.bool_]:
        """Whether all variables of a row that can move are integers."""
        free = ~self.integer & (self.lower < self.upper)
        return np.array([not free[row.columns].any() for row in self.rows], dtype=bool)

    @cached_property
    def row_scales(self) -> Array:
        """The largest absolute coefficient of each row, but at most 1."""
        return np.array([min(1.0, float(np.abs(row.coefficients).max(initial=0.0)) or 1.0) for row in self.rows], dtype=float)

    @cached_property
    def _row_slacks(self) -> tuple[Array, Array, Array]:
        """The slack of each row: its share of the sum of absolute terms, its least amount, and its largest amount (NaN: none)."""
        share = np.where(self._row_is_whole, ROW_SLACK, CONTINUOUS_ROW_SLACK)
        row, column, value = self.entries
        most = np.maximum(np.abs(self.lower), np.abs(self.upper))[column]
        moved = np.where(self.integer[column], 0.0, np.abs(value) * most)
        moved = np.bincount(row, moved, len(self.rows))
        least = np.where(self._row_is_whole, share * self.row_scales, np.fmin(share * self.row_scales, RANGE_SLACK * moved))
        return share, least, WHOLE_ROW_SLACK * self.row_granules

    def satisfied(self, x: Array) -> bool:
        """Whether x satisfies every row and every bound within its slack."""
        rows, bounds = self._holds(x)
        return bool(rows.all() and bounds.all())

    def broken(self, x: Array) -> str | None:
        """The first row or bound that x does not satisfy, in words; None if it is `satisfied`."""
        rows, bounds = self._holds(x)
        if not rows.all():
            k = int(np.argmin(rows))
            return f"constraint {self.row_names[k] if self.row_names else k}"
        return None if bounds.all() else f"a bound of variable {self.variables[int(np.argmin(bounds))]}"

    def _holds(self, x: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether x satisfies each row, and the bounds of each column, within their slack."""
        row, column, value = self.entries
        terms = value * x[column]
        activity = np.bincount(row, terms, len(self.rows))
        size = np.bincount(row, np.abs(terms), len(self.rows))
        share, least, most = self._row_slacks
        slack = np.fmin(np.maximum(least, share * size), most)
        near = np.where(self.integer, 0.0, ROW_SLACK * np.maximum(1.0, np.abs(x)))
        return ((activity >= self.row_lower - slack) & (activity <= self.row_upper + slack),
                (x >= self.lower - near) & (x <= self.upper + near))

    @cached_property
    def loosest(self) -> Array:
        """The largest slack of each row, for any x."""
        row, column, value = self.entries
        most = np.maximum(np.abs(self.lower), np.abs(self.upper))[column]
        share, least, at_most = self._row_slacks
        return np.fmin(np.maximum(least, share * np.bincount(row, np.abs(value) * most, len(self.rows))), at_most)

    def spread(self, form: LinearForm) -> float:
        """The largest value of the form minus the least one. A variable without finite bounds counts as one of width 1."""
        width = self.upper[form.columns] - self.lower[form.columns]
        return float(np.abs(form.coefficients) @ np.where(np.isfinite(width), width, 1.0))

    def scaled(self, most: float) -> Milp:
        """The same program with scaled rows: each has a spread of at most `most`, and of at least 1 if `most` allows it."""
        spreads = np.array([self.spread(row) or 1.0 for row in self.rows])
        return self._with_rows_times(np.minimum(np.maximum(1.0, np.exp2(np.ceil(-np.log2(spreads)))), most / spreads))

    def spread_evenly(self, most: float) -> Milp:
        """The same program with rows scaled by powers of two, so that each has a spread between `most` / 2 and `most`."""
        return self._with_rows_times(np.exp2(np.floor(np.log2(most / np.array([self.spread(row) or most for row in self.rows])))))

    def _with_rows_times(self, factor: Array) -> Milp:
        rows = tuple(LinearForm(r.columns, r.coefficients * f) for r, f in zip(self.rows, factor, strict=True))
        return replace(self, rows=rows, row_lower=self.row_lower * factor, row_upper=self.row_upper * factor)

    def fine_term(self) -> str | None:
        """A term of an integer that is no larger than its row's slack, in words; None if there is none.

        Such a row could count as satisfied without the term. Rows with a granule are not examined, because their slack is a part
        of the granule. Nor are continuous columns, because their values are refined to the last digits.
        """
        for k in np.flatnonzero(np.isnan(self.row_granules)).tolist():
            row = self.rows[k]
            used = self.integer[row.columns] & (self.lower < self.upper)[row.columns]
            if not used.any() or not (np.isfinite(self.row_lower[k]) or np.isfinite(self.row_upper[k])):
                continue
            share = ROW_SLACK if self._row_is_whole[k] else CONTINUOUS_ROW_SLACK
            at_most = np.maximum(np.abs(self.lower), np.abs(self.upper))[row.columns]
            size = float((np.abs(row.coefficients) * np.where(np.isfinite(at_most), at_most, 1.0)).sum())
            slack = share * max(float(self.row_scales[k]), size)
            e = np.flatnonzero(used)[np.argmin(np.abs(row.coefficients[used]))]
            if abs(row.coefficients[e]) <= slack:
                name = self.row_names[k] if k < len(self.row_names) else str(k)
                return (f"constraint {name}: its term {row.coefficients[e]:.6g} * {self.variables[row.columns[e]]} is finer than "
                        f"what the constraint holds to ({slack:.3g}) where it adds up {size:.3g}")
        return None

    def granule(self, form: LinearForm) -> float | None:
        """The granule: the largest proved g such that every value of the form is a constant plus a whole multiple of g.

        It is proved if all variables that can move are integers, and all coefficients are whole, or have few binary or decimal
        digits (the rounding of decimals to doubles is ignored). None in all other cases: the values then count as real numbers.
        """
        used = (form.coefficients != 0) & (self.lower[form.columns] < self.upper[form.columns])
        coefficients, columns = form.coefficients[used], form.columns[used]
        if not np.all(self.integer[columns]) or np.any(np.abs(coefficients) >= _LARGEST_EXACT) or not len(columns):
            return None
        most = np.abs(coefficients) @ np.maximum(np.abs(self.lower[columns]), np.abs(self.upper[columns]))
        if np.all(coefficients == np.rint(coefficients)):
            g = float(reduce(gcd, (abs(int(c)) for c in coefficients), 0))
            return g if not np.isfinite(most) or most < g * _LARGEST_EXACT else None
        for unit in (1 / np.abs(coefficients).min(), 2.0**20, *(10.0**k for k in range(1, _DECIMALS + 1))):
            whole = np.rint(coefficients * unit)
            if np.any(np.abs(whole) >= _LARGEST_EXACT):
                continue
            if np.all(np.abs(coefficients - whole / unit) <= 2 * _EPSILON * np.abs(coefficients)):
                g = float(reduce(gcd, (abs(int(c)) for c in whole), 0)) / unit
                return g if most <= g * _GRAINS else None
        return None
