"""Columns measured from where they begin.

A number between 1e9 and 1e9 + 3 moves by 3, but what it adds to a row is rounded as a number of 1e9 is, and a solver's tolerance is
far below that: it calls such programs infeasible. Measured from 1e9 it is a number between 0 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.programs.presolve import presolve

FAR = 1e3
"""A column is measured from elsewhere than 0 where its nearer bound is so many times as far from 0 as it can move."""


ROUNDING = 1e-14
"""What decimal numbers and their products may be off by, as a share of what they add up to."""


def presolved(milp: Milp, forms: Sequence[LinearForm], signs: Sequence[float]) -> tuple[Milp, Sequence[LinearForm], Array]:
    """The program presolved (`lmos_opt.programs.presolve`) for forms to be made small (sign 1) or large (-1), and these, over
    columns that are measured from the origins given third."""
    def costs(of: Sequence[LinearForm]) -> list[LinearForm]:
        return [form if sign > 0 else -form for form, sign in zip(of, signs, strict=True)]

    smaller = presolve(milp, costs(forms))
    if not (origin := origins(smaller)).any():
        return smaller, forms, origin
    milp, moved = shifted(milp, forms, origin)
    return presolve(milp, costs(moved)), moved, origin


def origins(milp: Milp) -> Array:
    """Where each column is measured from: 0, or the whole number nearest to its nearer bound where that is far from 0."""
    with np.errstate(invalid="ignore"):
        width = milp.upper - milp.lower
        near = np.where(milp.lower > 0, milp.lower, np.where(milp.upper < 0, milp.upper, 0.0))
        is_far = np.isfinite(width) & (np.abs(near) > FAR * np.maximum(width, 1.0))
    return np.where(is_far, np.rint(near), 0.0)


def shifted(milp: Milp, costs: Sequence[LinearForm], origin: Array) -> tuple[Milp, list[LinearForm]]:
    """The program and its costs over columns that are measured from their origins: a column of the program's own is the new one
    plus its origin. Sides and constants are added up in rational numbers, so that nothing is rounded but the results. Rows of
    integers alone are as much wider as their numbers are rounded: they cannot be moved to where they hold."""
    lower, upper = milp.row_lower.copy(), milp.row_upper.copy()
    is_open = ~milp.integer & (milp.lower < milp.upper)
    for k, row in enumerate(milp.rows):
        moved = _at(row, origin)
        size = np.abs(row.coefficients * origin[row.columns]).sum()
        wider = 0.0 if is_open[row.columns].any() else ROUNDING * float(size)
        lower[k], upper[k] = _less(lower[k], moved) - wider, _less(upper[k], moved) + wider
    forms = [LinearForm(form.columns, form.coefficients, float(Fraction(form.constant) + _at(form, origin))) for form in costs]
    return replace(milp, lower=milp.lower - origin, upper=milp.upper - origin, row_lower=lower, row_upper=upper), forms


def _at(form: LinearForm, x: Array) -> Fraction:
    """The form's columns at x, without rounding."""
    return sum((Fraction(c) * Fraction(v) for c, v in zip(form.coefficients.tolist(), x[form.columns].tolist(), strict=True) if v),
               Fraction(0))  # fmt: skip


def _less(side: float, moved: Fraction) -> float:
    return side if np.isinf(side) else float(Fraction(side) - moved)
