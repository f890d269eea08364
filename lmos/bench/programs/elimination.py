"""Real columns eliminated from linear inequalities, exactly: Gauss for equalities, then Fourier and Motzkin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import partial
from math import gcd, lcm

from lmos_opt.errors import LmosError

Vector = tuple[int, ...]
"""Coefficients of an inequality `vector . (columns, 1) <= 0`."""
MOST_ROWS = 3000


class OutOfReachError(LmosError):
    """A program whose true front is not found by what stands here."""


def whole(vector: Sequence[Fraction | int]) -> Vector:
    """The shortest whole vector in the same direction."""
    scale = lcm(*(Fraction(v).denominator for v in vector))
    numbers = [int(v * scale) for v in vector]
    common = gcd(*numbers) or 1
    return tuple(v // common for v in numbers)


def eliminated(rows: Iterable[Vector], equal: Iterable[Vector], columns: Sequence[int]) -> list[Vector]:
    """The inequalities that the other columns satisfy if and only if `columns` can be completed; zeros stand at `columns`.

    `rows` are inequalities and `equal` equalities. Raises OutOfReachError above MOST_ROWS of them.
    """
    rows, equal = list(rows), list(equal)
    left = list(columns)
    for column in columns:
        pivot = next((e for e in equal if e[column]), None)
        if pivot is None:
            continue
        left.remove(column)
        equal = [_combined(e, pivot, column) if e[column] else e for e in equal if e is not pivot]
        rows = [_combined(r, pivot, column) if r[column] else r for r in rows]
    rows = _tightest([*rows, *equal, *(tuple(-v for v in e) for e in equal)])
    while left:
        column = min(left, key=partial(_pairs, rows))
        left.remove(column)
        above = [r for r in rows if r[column] > 0]
        below = [r for r in rows if r[column] < 0]
        if len(above) * len(below) > MOST_ROWS:
            raise OutOfReachError("too many inequalities")
        rows = _tightest([*(r for r in rows if not r[column]), *(_combined(a, b, column) for a in above for b in below)])
    return rows


def _pairs(rows: Sequence[Vector], column: int) -> int:
    """How many rows eliminating the column makes."""
    return sum(r[column] > 0 for r in rows) * sum(r[column] < 0 for r in rows)


def _combined(row: Vector, pivot: Vector, column: int) -> Vector:
    """The row plus a multiple of the pivot, without the column; the row keeps its direction."""
    times, factor = abs(pivot[column]), row[column] if pivot[column] < 0 else -row[column]
    return whole([times * r + factor * p for r, p in zip(row, pivot, strict=True)])


def _tightest(rows: Iterable[Vector]) -> list[Vector]:
    """Of rows with equal coefficients only the tightest; none that always holds."""
    found: dict[Vector, tuple[Fraction, Vector]] = {}
    for row in rows:
        common = gcd(*row[:-1])
        if not common and row[-1] <= 0:
            continue
        direction = tuple(v // (common or 1) for v in row[:-1])
        constant = Fraction(row[-1], common or 1)
        if direction not in found or constant > found[direction][0]:
            found[direction] = (constant, row)
    return [row for _, row in found.values()]
