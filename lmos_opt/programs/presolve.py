"""Presolve: a program with the same non-dominated objective vectors, narrower bounds, and smaller coefficients.

Three exact reductions are repeated until none of them changes anything (Savelsbergh, "Preprocessing and probing techniques for
mixed integer programming problems", ORSA J. Computing 6, 1994):

- Propagation: a row bounds a column if all its other columns are within their bounds.
- Dual bounds: if no objective gets better when a column rises, the column need not be larger than the rows can require. This may
  remove solutions, but every non-dominated objective vector keeps a solution. The same holds for columns that need not fall.
- Coefficients: if q can be at most m, and m < M, then q <= M y becomes q <= m y.

Every number is rounded to the safe side: a bound may be a little too wide, but is never too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmos_opt.errors import InfeasibleError
from lmos_opt.programs.milp import CONTINUOUS_ROW_SLACK, ROW_SLACK, WHOLE_ROW_SLACK, Array, LinearForm, Milp

LEAST_KEPT = 1e-6
"""The least share of a real coefficient that is kept, so that the term stays larger than the rounding errors of its row."""
_EPSILON = float(np.finfo(float).eps)
ROUNDS, PASSES = 6, 20
"""The most rounds of all reductions, and of propagation within a round: two columns could narrow each other for ever."""
WIDE = 1e4
"""An integer column gets dual bounds only if it is wider than this. A narrower one keeps all its solutions."""
BINARY = 2.0**16
"""Whole multiples of 1 / BINARY are added without rounding."""
ONE_VALUE = 1e-13
"""The bounds of a continuous column become one value if they differ by at most this share of the smaller one's size."""
NARROWER = 0.9
"""Narrower bounds of a continuous column replace its bounds only if their width is less than this share of the old width."""


def presolve(milp: Milp, costs: Sequence[LinearForm]) -> Milp:
    """A program with the same columns and the same non-dominated vectors of the costs, which are all minimised.

    Raises InfeasibleError, which names a constraint, if a row without columns is not satisfied, if no value that a row of integers
    can have lies between its sides (2 x - 4 y = 1), or if propagation leaves a column no value.
    """
    empty = np.array([len(row.columns) == 0 for row in milp.rows], dtype=bool)
    broken = np.flatnonzero(empty & ((milp.row_lower > ROW_SLACK) | (milp.row_upper < -ROW_SLACK)) | _between_values(milp))
    if len(broken):
        raise InfeasibleError(milp.name, [f"constraint {milp.row_names[k]}" for k in broken.tolist() if k < len(milp.row_names)])
    for _ in range(ROUNDS):
        before = milp
        milp = _propagated(milp)
        milp = _with_dual_bounds(milp, costs)
        milp = _with_small_coefficients(milp)
        if milp is before:
            break
    return milp


def _between_values(milp: Milp) -> NDArray[np.bool_]:
    """Whether no whole multiple of a row's granule satisfies the row, shape (rows,). Branching alone would not end there."""
    found = np.zeros(len(milp.rows), dtype=bool)
    fixed = np.where(milp.lower == milp.upper, milp.lower, 0.0)
    with np.errstate(invalid="ignore"):
        width = milp.row_upper - milp.row_lower
    for k in np.flatnonzero(np.isfinite(width)).tolist():
        row = milp.rows[k]
        if width[k] >= np.abs(row.coefficients).max(initial=0.0) or not (granule := milp.granule(row)):
            continue  # a granule is no larger than a coefficient
        low, high = (np.array([milp.row_lower[k], milp.row_upper[k]]) - row.at(fixed)) / granule
        slack = max(WHOLE_ROW_SLACK, ROW_SLACK * max(abs(low), abs(high)))
        found[k] = np.ceil(low - slack) > np.floor(high + slack)
    return found


@dataclass(frozen=True)
class _Activity:
    """For every entry of the matrix the least and the largest sum of the other terms of its row, rounded outwards.

    All arrays have the shape (entries,). `rounded` is the sum of the row's terms by their sizes, 0 if nothing is rounded.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: Array
    rest_min: Array
    rest_max: Array
    rounded: Array

    @staticmethod
    def of(milp: Milp) -> _Activity:
        row, column, value = milp.entries
        with np.errstate(invalid="ignore"):
            at_low, at_high = value * milp.lower[column], value * milp.upper[column]
        least, most = np.where(value > 0, at_low, at_high), np.where(value > 0, at_high, at_low)
        (rest_min, one), (rest_max, other) = _rest(row, least, len(milp.rows), -1.0), _rest(row, most, len(milp.rows), 1.0)
        return _Activity(row, column, value, rest_min, rest_max, np.maximum(one, other))


def _rest(row: NDArray[np.int64], terms: Array, n: int, side: float) -> tuple[Array, Array]:
    """For each term the sum of the other terms of its row, moved outwards (towards `side`) by the possible rounding error.

    `n` is the number of rows. The sum is infinite if one of the other terms is. The second array has the sums of the terms' sizes,
    0 if nothing is rounded.
    """
    finite = np.isfinite(terms)
    known = np.where(finite, terms, 0.0)
    endless = np.bincount(row, ~finite, n)
    rest: Array = np.asarray(np.bincount(row, known, n)[row] - known, dtype=float)
    entries = np.bincount(row, minlength=n)
    sizes = np.asarray(np.bincount(row, np.abs(known), n)[row], dtype=float)
    # sums of whole multiples of 1 / BINARY are exact
    short = np.bincount(row, known * BINARY != np.rint(known * BINARY), n)[row] == 0
    sizes = np.where(short & (sizes * BINARY < 2.0**53), 0.0, sizes)
    outwards = side * _EPSILON * (2 + entries[row]) * sizes
    return np.where(endless[row] - ~finite > 0, side * np.inf, rest + outwards), sizes


def _room(milp: Milp, a: _Activity, side: Array, rest: Array) -> Array:
    """For each entry how far its row may miss `side` when it bounds the entry's column; `rest` is the sum of the other terms.

    An integer keeps each value with which the row counts as satisfied, a continuous column only those with which it holds. But if
    rounding errors of the row, divided by a tiny coefficient, would move the bound of a continuous column, it also keeps more.
    """
    size = np.maximum(np.where(np.isfinite(side), np.abs(side), 0.0), np.where(np.isfinite(rest), np.abs(rest), 0.0))
    rounded = CONTINUOUS_ROW_SLACK * a.rounded
    is_moved = rounded > np.abs(a.value) * _grain((side - rest) / a.value)
    of_whole = np.maximum(ROW_SLACK * np.maximum(milp.row_scales[a.row], size), rounded)
    return np.where(milp.integer[a.column], of_whole, np.where(is_moved, rounded, 0.0))


def _propagated(milp: Milp) -> Milp:
    """The program with the bounds that its rows leave each column; itself if none gets narrower."""
    for _ in range(PASSES):
        a = _Activity.of(milp)
        upper, lower = milp.row_upper[a.row], milp.row_lower[a.row]
        with np.errstate(invalid="ignore"):
            by_upper = (upper - a.rest_min + _room(milp, a, upper, a.rest_min)) / a.value
            by_lower = (lower - a.rest_max - _room(milp, a, lower, a.rest_max)) / a.value
        is_up = a.value > 0
        highs = np.where(is_up, by_upper, by_lower)
        lows = np.where(is_up, by_lower, by_upper)
        narrowed = _narrowed(milp, a, np.where(np.isnan(lows), -np.inf, lows), np.where(np.isnan(highs), np.inf, highs))
        if narrowed is milp:
            break
        milp = narrowed
    return milp


def _narrowed(milp: Milp, a: _Activity, lows: Array, highs: Array) -> Milp:
    """The program with the bounds that each entry gives its column, where they are narrower by enough (`_with_bounds`).

    Raises InfeasibleError if a column has no value left.
    """
    low, high = milp.lower.copy(), milp.upper.copy()
    whole = milp.integer[a.column]
    np.maximum.at(low, a.column, np.where(whole, np.ceil(lows - _grain(lows)), lows))
    np.minimum.at(high, a.column, np.where(whole, np.floor(highs + _grain(highs)), highs))
    with np.errstate(invalid="ignore"):
        crossed = ~milp.integer & (low > high) & (low - high <= 2 * _grain(high))
        middle = low / 2 + high / 2
    low, high = np.where(crossed, middle, low), np.where(crossed, middle, high)
    empty = np.flatnonzero(low > high)
    if len(empty):
        column = int(empty[0])
        raise InfeasibleError(milp.name, _narrowing(milp, a, column, lows, highs))
    return _with_bounds(milp, low, high)


def _narrowing(milp: Milp, a: _Activity, column: int, lows: Array, highs: Array) -> list[str]:
    """The constraints that leave a column no value: the one with its largest lower and the one with its least upper bound."""
    entries = np.flatnonzero(a.column == column)
    found = []
    if highs[entries].min() < milp.upper[column]:
        found.append(int(a.row[entries[np.argmin(highs[entries])]]))
    if lows[entries].max() > milp.lower[column]:
        found.append(int(a.row[entries[np.argmax(lows[entries])]]))
    return [f"constraint {milp.row_names[row]}" for row in dict.fromkeys(found) if row < len(milp.row_names)]


def _grain(values: Array) -> Array:
    """The possible error of a bound, from rounding and from decimal digits; 0 for infinite bounds."""
    return np.where(np.isfinite(values), ROW_SLACK * np.maximum(1.0, np.abs(values)), 0.0)


def _with_bounds(milp: Milp, low: Array, high: Array) -> Milp:
    """The program with these bounds where they are narrower by enough (NARROWER); itself if none is.

    An integer column takes every narrower bound, and any column a finite bound in place of an infinite one.
    """
    is_better = np.zeros(len(low), dtype=bool)
    with np.errstate(invalid="ignore"):
        is_better |= milp.integer & ((low > milp.lower) | (high < milp.upper))
        is_better |= (np.isinf(milp.lower) & np.isfinite(low)) | (np.isinf(milp.upper) & np.isfinite(high))
        is_better |= high - low < NARROWER * (milp.upper - milp.lower)
        is_better |= (high < milp.upper) & np.isinf(low) & (milp.upper - high > (1 - NARROWER) * np.abs(milp.upper))
        is_better |= (low > milp.lower) & np.isinf(high) & (low - milp.lower > (1 - NARROWER) * np.abs(milp.lower))
    if not is_better.any():
        return milp
    low, high = np.where(is_better, low, milp.lower), np.where(is_better, high, milp.upper)
    with np.errstate(invalid="ignore"):  # bounds that differ by rounding only become one value
        is_one = ~milp.integer & (low < high) & (high - low <= ONE_VALUE * np.minimum(np.abs(low), np.abs(high)))
        is_one &= np.isfinite(high - low)
        middle = low / 2 + high / 2
    return replace(milp, lower=np.where(is_one, middle, low), upper=np.where(is_one, middle, high))


def _with_dual_bounds(milp: Milp, costs: Sequence[LinearForm]) -> Milp:
    """The program with dual bounds of its wide columns: every non-dominated vector of the costs keeps a solution within them."""
    wide = milp.upper - milp.lower > np.where(milp.integer, WIDE, 0.0)
    if not wide.any():
        return milp
    rises, falls = np.zeros(len(wide), dtype=bool), np.zeros(len(wide), dtype=bool)
    rises[list(milp.followers)] = falls[list(milp.followers)] = True
    for cost in costs:
        rises[cost.columns[cost.coefficients > 0]] = True  # some objective gets worse when the column rises
        falls[cost.columns[cost.coefficients < 0]] = True
    enough, little = _asked_for(milp)
    for k, other in _opposites(milp, wide & ~falls):
        alone = replace(milp, upper=np.where(np.arange(len(wide)) == other, milp.lower, milp.upper))
        enough[k] = min(enough[k], _asked_for(alone)[0][k])
    low, high = milp.lower.copy(), milp.upper.copy()
    down = wide & ~falls
    at_least = np.where(np.isfinite(low), low, np.where(rises, -np.inf, np.minimum(high, 0.0)))
    needed = np.maximum(at_least, enough)
    down &= np.isfinite(needed) & (needed < high)
    high[down] = np.minimum(high[down], needed[down])
    up = wide & ~rises & ~down
    at_most = np.where(np.isfinite(high), high, np.where(falls, np.inf, np.maximum(low, 0.0)))
    needed = np.minimum(at_most, little)
    up &= np.isfinite(needed)
    low[up] = np.maximum(low[up], needed[up])
    return _with_bounds(milp, low, high)


def _asked_for(milp: Milp) -> tuple[Array, Array]:
    """For every column two values, whatever the other columns are.

    At the first value or above it, no row requires the column to be larger. At the second or below it, none requires it to be
    smaller.
    """
    a = _Activity.of(milp)
    upper, lower = milp.row_upper[a.row], milp.row_lower[a.row]
    has_upper, has_lower, is_up = np.isfinite(upper), np.isfinite(lower), a.value > 0
    with np.errstate(invalid="ignore"):
        # the column's value at which the upper (lower) side holds whatever the other terms are
        safe_upper, safe_lower = (upper - a.rest_max) / a.value, (lower - a.rest_min) / a.value
    wants_more = np.maximum(np.where(~is_up & has_upper, safe_upper, -np.inf), np.where(is_up & has_lower, safe_lower, -np.inf))
    wants_less = np.minimum(np.where(is_up & has_upper, safe_upper, np.inf), np.where(~is_up & has_lower, safe_lower, np.inf))
    enough, little = np.full(len(milp.lower), -np.inf), np.full(len(milp.lower), np.inf)
    np.maximum.at(enough, a.column, wants_more)
    np.minimum.at(little, a.column, wants_less)
    # a row that is missed by rounding only counts as satisfied
    return (np.where(milp.integer, np.ceil(enough - _grain(enough)), enough),
            np.where(milp.integer, np.floor(little + _grain(little)), little))


def _opposites(milp: Milp, wide: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs of wide columns with opposite coefficients in every row, such as the amounts above and below a goal.

    If both fall by the same amount, no row changes and no objective gets worse. So one of the two may stay at its lower bound.
    """
    row, column, value = milp.entries
    kept = (wide & np.isfinite(milp.lower))[column]
    found: dict[tuple[bool, tuple[tuple[int, float], ...]], list[int]] = {}
    entries: dict[int, list[tuple[int, float]]] = {}
    for r, k, v in zip(row[kept].tolist(), column[kept].tolist(), value[kept].tolist(), strict=True):
        entries.setdefault(k, []).append((r, v))
    for k, held in entries.items():
        found.setdefault((bool(milp.integer[k]), tuple(sorted(held))), []).append(k)
    pairs = []
    for (is_integer, signed), columns in found.items():
        others = found.get((is_integer, tuple((r, -v) for r, v in signed)), [])
        if len(columns) == len(others) == 1:
            pairs.append((columns[0], others[0]))
    return pairs


def _with_small_coefficients(milp: Milp) -> Milp:
    """The program with the smallest coefficients of integers that their rows allow. A row that always holds loses its side.

    Only rows with one side are changed.
    """
    a = _Activity.of(milp)
    most, least = a.rest_max, a.rest_min
    upper, lower = milp.row_upper[a.row], milp.row_lower[a.row]
    one_sided = np.isfinite(upper) != np.isfinite(lower)
    is_open = milp.integer[a.column] & (milp.lower[a.column] < milp.upper[a.column])
    # Each row as `value x + rest <= side`; a row with a lower side only is multiplied by -1.
    turn = np.where(np.isfinite(upper), 1.0, -1.0)
    value, side, rest = turn * a.value, np.where(turn > 0, upper, -lower), np.where(turn > 0, most, -least)
    hardest = np.where(value > 0, milp.upper[a.column], milp.lower[a.column])
    next_to = hardest - np.sign(value)
    with np.errstate(invalid="ignore"):
        spare = side - value * next_to - rest
    usable = one_sided & is_open & np.isfinite(spare) & (spare > ROW_SLACK * np.maximum(np.abs(value), np.abs(side)))
    if not usable.any():
        return milp
    rows, row_lower, row_upper = list(milp.rows), milp.row_lower.copy(), milp.row_upper.copy()
    for k in np.unique(a.row[usable]).tolist():
        rows[k], row_lower[k], row_upper[k] = _tightened_row(milp, k)
    return replace(milp, rows=tuple(rows), row_lower=row_lower, row_upper=row_upper)


def _tightened_row(milp: Milp, k: int) -> tuple[LinearForm, float, float]:
    """A row with one side after the coefficient of each of its integers was reduced in turn, and its new lower and upper side."""
    row, columns = milp.rows[k], milp.rows[k].columns
    turn = 1.0 if np.isfinite(milp.row_upper[k]) else -1.0
    value, side = turn * row.coefficients, float(milp.row_upper[k] if turn > 0 else -milp.row_lower[k])
    low, high = milp.lower[columns], milp.upper[columns]
    for e in range(len(columns)):
        if not milp.integer[columns[e]] or low[e] == high[e] or value[e] == 0:
            continue
        most = np.where(value > 0, value * high, value * low)
        most[e] = 0.0
        size = float(np.abs(most).sum() + abs(side) + abs(value[e]) * max(abs(low[e]), abs(high[e])))
        whole = size < 2.0**53 and bool(np.all(most == np.rint(most))) and side.is_integer() and value[e].is_integer()
        hardest = float(high[e] if value[e] > 0 else low[e])
        spare = side - float(value[e]) * (hardest - float(np.sign(value[e]))) - float(most.sum())
        if np.isfinite(spare) and spare >= abs(value[e]) - (0.0 if whole else (len(columns) + 2) * _EPSILON * size):
            return LinearForm(columns, row.coefficients), -np.inf, np.inf  # the row holds for all values within the bounds
        spare -= 0.0 if whole else ROW_SLACK * max(1.0, size)
        if not np.isfinite(spare) or spare <= ROW_SLACK * max(abs(value[e]), abs(side)):
            continue
        step = float(np.sign(value[e])) * min(spare, (1 - (0.0 if whole else LEAST_KEPT)) * abs(value[e]))
        value[e] -= step
        side -= step * hardest
    kept = value != 0
    return LinearForm(columns[kept], turn * value[kept]), *((-np.inf, side) if turn > 0 else (-side, np.inf))
