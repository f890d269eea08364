"""A shift of columns whose bounds are far from 0, so that solvers lose no digits.

A variable between 1e9 and 1e9 + 3 moves by 3 only. But its term in a row is rounded as a number of the size 1e9, and the tolerance
of a solver is far below this rounding: the solver calls such programs infeasible. Measured from the origin 1e9, the variable lies
between 0 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.programs.presolve import presolve

FAR = 1e3
"""A column gets an origin if the distance of its nearer bound from 0 is more than so many times its width (at least 1)."""


ROUNDING = 1e-14
"""The largest rounding error of decimal numbers and their products, as a share of the sum of their sizes."""


def presolved(milp: Milp, forms: Sequence[LinearForm], signs: Sequence[float]) -> tuple[Milp, Sequence[LinearForm], Array]:
    """The presolved program, its forms, and the origin of each column, shape (columns,).

    `forms` are objectives to minimise (sign 1) or maximise (sign -1). Program and forms are over the shifted columns: a column of
    `milp` is the new column plus its origin. Raises InfeasibleError as `presolve` does.
    """
    def costs(of: Sequence[LinearForm]) -> list[LinearForm]:
        return [form if sign > 0 else -form for form, sign in zip(of, signs, strict=True)]

    smaller = presolve(milp, costs(forms))
    if not (origin := origins(smaller)).any():
        return smaller, forms, origin
    milp, moved = shifted(milp, forms, origin)
    return presolve(milp, costs(moved)), moved, origin


def origins(milp: Milp) -> Array:
    """The origin of each column: the whole number nearest to its nearer bound if this bound is far from 0 (FAR), otherwise 0."""
    with np.errstate(invalid="ignore"):
        width = milp.upper - milp.lower
        near = np.where(milp.lower > 0, milp.lower, np.where(milp.upper < 0, milp.upper, 0.0))
        is_far = np.isfinite(width) & (np.abs(near) > FAR * np.maximum(width, 1.0))
    return np.where(is_far, np.rint(near), 0.0)


def shifted(milp: Milp, costs: Sequence[LinearForm], origin: Array) -> tuple[Milp, list[LinearForm]]:
    """The program and its costs over shifted columns: a column of `milp` is the new column plus its origin.

    Sides and constants are computed as rational numbers and rounded once. If only integers of a row can move, its sides are moved
    outwards by the possible rounding error, because no continuous variable can make up for it.
    """
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
    """The value of the form at x without its constant, not rounded."""
    return sum((Fraction(c) * Fraction(v) for c, v in zip(form.coefficients.tolist(), x[form.columns].tolist(), strict=True) if v),
               Fraction(0))  # fmt: skip


def _less(side: float, moved: Fraction) -> float:
    return side if np.isinf(side) else float(Fraction(side) - moved)
