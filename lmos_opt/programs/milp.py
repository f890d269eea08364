"""A mixed-integer linear program as arrays.

Solvers take these arrays, and algorithms use them for proofs: the least difference between two values of a form is proved here,
from coefficients and variable types.
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
"""A row is satisfied if it holds to this share of the sum of its terms, and of its scale at least: decimal numbers are not exact.
"""
WHOLE_ROW_SLACK = 1e-6
"""The same for a row whose values are whole multiples of a number, as a share of that number, if that is stricter."""
CONTINUOUS_ROW_SLACK = 1e-12
"""The same for a row with a continuous variable, which can be moved until the row holds: only rounding is allowed for."""
RANGE_SLACK = 1e-13
"""The least slack of such a row, as a share of the largest sum of its continuous terms (or CONTINUOUS_ROW_SLACK of its scale, if
that is less): the values are not known better."""
_EPSILON = float(np.finfo(float).eps)
_DECIMALS = 12
"""Coefficients with more decimal digits than these are taken for real numbers."""
_GRAINS = 2.0**48
"""Values of a form are told apart by a granule only if there are at most so many of it: doubles have 2^53."""


@dataclass(frozen=True)
class LinearForm:
    """`sum(coefficients[k] * x[columns[k]]) + constant`."""

    columns: NDArray[np.int64]
    coefficients: Array
    constant: float = 0.0

    def at(self, x: Array) -> float:
        """The value at x, correctly rounded."""
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
    """Variables with bounds and types, rows `lower <= form <= upper`; forms of rows carry no constant."""

    name: str
    variables: tuple[str, ...]
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    rows: tuple[LinearForm, ...]
    row_lower: Array
    row_upper: Array
    row_names: tuple[str, ...] = ()

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
        """Row, column and coefficient of every entry."""
        sizes = [len(row.columns) for row in self.rows]
        columns = np.concatenate([row.columns for row in self.rows]) if self.rows else np.zeros(0, dtype=np.int64)
        values = np.concatenate([row.coefficients for row in self.rows]) if self.rows else np.zeros(0)
        return np.repeat(np.arange(len(self.rows)), sizes), columns, values

    @cached_property
    def row_granules(self) -> Array:
        """The granule of each row, NaN where none is proved."""
        return np.array([self.granule(row) or np.nan for row in self.rows], dtype=float)

    @cached_property
    def _row_is_whole(self) -> NDArray[np.bool_]:
        """Whether all open variables of a row are integers."""
        free = ~self.integer & (self.lower < self.upper)
        return np.array([not free[row.columns].any() for row in self.rows], dtype=bool)

    @cached_property
    def row_scales(self) -> Array:
        """The size of each row's coefficients, one at most."""
        return np.array([min(1.0, float(np.abs(row.coefficients).max(initial=0.0)) or 1.0) for row in self.rows], dtype=float)

    @cached_property
    def _row_slacks(self) -> tuple[Array, Array, Array]:
        """By how much each row may be missed: a share of what it adds up, this much at least, and this much at most."""
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
        """Of each row, and of each column's bounds, whether x satisfies it."""
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
        """How far the form can move at most, over finite bounds; a variable without them counts as one unit."""
        width = self.upper[form.columns] - self.lower[form.columns]
        return float(np.abs(form.coefficients) @ np.where(np.isfinite(width), width, 1.0))

    def scaled(self, most: float) -> Milp:
        """The same program with rows scaled down so that none can move by more than `most`, and up so that each can by one."""
        spreads = np.array([self.spread(row) or 1.0 for row in self.rows])
        return self._with_rows_times(np.minimum(np.maximum(1.0, np.exp2(np.ceil(-np.log2(spreads)))), most / spreads))

    def spread_evenly(self, most: float) -> Milp:
        """The same program with rows scaled, up or down, by powers of two, so that each can move by about `most`."""
        return self._with_rows_times(np.exp2(np.floor(np.log2(most / np.array([self.spread(row) or most for row in self.rows])))))

    def _with_rows_times(self, factor: Array) -> Milp:
        rows = tuple(LinearForm(r.columns, r.coefficients * f) for r, f in zip(self.rows, factor, strict=True))
        return replace(self, rows=rows, row_lower=self.row_lower * factor, row_upper=self.row_upper * factor)

    def fine_term(self) -> str | None:
        """A term so fine that its row, which holds to a share of the sum of its terms, may hold without it; in words, None if there
        is none.

        Rows of whole multiples of one number hold to a part of that number, and continuous columns to the last digits.
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
        """The largest g such that every value of the form is a constant plus a whole multiple of g, if one is proved.

        Proved from integer variables and coefficients that are whole, or have few binary or decimal digits (then up to
        what doubles make of decimals); None for anything else: then values are real.
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
