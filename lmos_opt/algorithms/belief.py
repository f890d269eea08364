"""When an integer solver's own answer is a proof: its tolerances cannot change what is found.

An integer solver drops a node if a bound, computed in doubles, says so, and treats a value that is 1e-9 off as whole. Neither can
go wrong by as much as half the least difference between two values if
- every variable is an integer between finite bounds;
- the values of every constraint, and of every objective, are whole multiples of one number, its granule;
- none of them can change by more than MOST_GRANULES of these.

Then a tolerance of 1e-9, multiplied by the sum of all terms, stays below 1e-4 of a granule. Everything else is proved by
`lmos_opt.algorithms.branching`; otherwise the front says that it is not complete, and names the first cause found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from lmos_opt.programs.milp import LinearForm, Milp

MOST_GRANULES = 1e5
"""The number of granules over which a form may change: 1e-9 of this number is far below one half."""


def disbelief(milp: Milp, forms: Sequence[LinearForm], granules: Sequence[float | None], names: Sequence[str]) -> str | None:
    """Why an integer solver's answer is no proof on this program; None if it is one. `names` are those of the forms."""
    if cause := unbounded(milp):
        return cause
    for k in np.flatnonzero(milp.lower < milp.upper).tolist():
        if not milp.integer[k]:
            return f"variable {milp.variables[k]} is continuous"
    parts = [(f"objective {name}", form, granule) for name, form, granule in zip(names, forms, granules, strict=True)]
    named = milp.row_names or tuple(map(str, range(len(milp.rows))))
    parts += [(f"constraint {name}", form, None) for name, form in zip(named, milp.rows, strict=True)]
    for what, form, granule in parts:
        if cause := _too_fine(milp, what, form, granule):
            return cause
    return None


def unbounded(milp: Milp) -> str | None:
    """The first variable without a bound, in words; None if all have both."""
    for k in np.flatnonzero(~(np.isfinite(milp.lower) & np.isfinite(milp.upper))).tolist():
        side = "upper" if isfinite(milp.lower[k]) else "lower"
        return f"variable {milp.variables[k]} has no {side} bound, and none follows from the constraints"
    return None


def _too_fine(milp: Milp, what: str, form: LinearForm, granule: float | None) -> str | None:
    spread = milp.spread(form)
    granule = granule or milp.granule(form)
    if spread == 0 or (granule and spread <= MOST_GRANULES * granule):
        return None
    widths = np.abs(form.coefficients) * (milp.upper - milp.lower)[form.columns]
    k = int(np.argmax(widths))
    term = f"{form.coefficients[k]:.6g} * {milp.variables[form.columns[k]]}"
    if granule is None:
        return f"{what} has coefficients that are no whole multiples of one number, such as in {term}"
    return f"{what} moves by {spread:.3g} in steps of {granule:.3g}, most of it in {term}"
