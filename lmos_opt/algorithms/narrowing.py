"""A finer resolution of costs, from ranges that are cut to the values of the front.

Values count as one if they differ by less than a share of the range over which a cost can move within its variables' bounds. If no
point of the front pays a penalty of 1e9, this range has nothing to do with the front, and different points would count as one. Once
a front is known at this resolution, no cost needs to be larger than its worst value on the front. This limit cuts bounds
(`lmos_opt.programs.presolve`), and so the range. The other points of the front are then searched in the smaller problem.

With two costs, the worst value of one on the front is where the other is least. So this point is searched first, in a problem cut
to the least value alone. With more costs, points beyond the worst known value of a cost are not searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import InfeasibleError
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.programs.presolve import presolve

FINE = 1e-9
"""Ranges are cut if values that differ by this share of the largest one on the front count as one."""
BLURRED = 1e-8
"""The front is not complete if values that differ by this share still count as one after that."""
ROUNDS = 4
"""The most cuts of a range. One is usually enough, and each needs a search of every zone."""
Value = Callable[[int, float], float]
_EPSILON = float(np.finfo(float).eps)


def narrowed(problem: FrontProblem, found: Sequence[Candidate], value: Value) -> FrontProblem | None:
    """A problem with the same front and a finer resolution; its known points are the found ones.

    None if the resolution is fine enough already, or cannot be improved. `value(k, cost)` is the user's value of cost k. Raises
    SubproblemError as a search does.
    """
    if not (wide := _coarse(problem, found, value, FINE)):
        return None
    met = list(found)
    for k in wide if problem.p > 1 else ():
        met += _least(problem, k, min(found, key=lambda one: one.costs[k]))
    worst = np.max([one.costs for one in met], axis=0) + problem.resolution
    return _cut(problem, dict(enumerate(worst.tolist())), wide, met)


def blurred(problem: FrontProblem, found: Sequence[Candidate], value: Value) -> str | None:
    """Why different points of the front may have counted as one point, in words; None if the resolution is fine enough."""
    for k in _coarse(problem, found, value, BLURRED):
        width, largest = problem.scales[k].resolution, _largest(problem, k, found, value)
        return (f"objective {problem.names[k] if problem.names else k}: values that differ by less than {width:.3g} count as one, "
                f"and the largest found is {largest:.3g}: there may be more points")
    return None


def hides_small(problem: FrontProblem, found: Sequence[Candidate]) -> bool:
    """Whether small values of the front may have counted as one beside large ones, so that a search for more may be useful."""
    costs = np.abs(np.array([one.costs for one in found], dtype=float)).reshape(-1, problem.p)
    least = np.min(costs, axis=0, initial=np.inf, where=costs > 0)
    return any(scale.granule is None and scale.resolution > BLURRED * small
               for scale, small in zip(problem.scales, least.tolist(), strict=True))


def _coarse(problem: FrontProblem, found: Sequence[Candidate], value: Value, share: float) -> list[int]:
    """The costs whose resolution is more than this share of their largest value on the front."""
    if problem.step is not None or problem.placing is not None or problem.listing is not None or not found:
        return []
    return [k for k, scale in enumerate(problem.scales)
            if scale.granule is None and scale.resolution > share * _largest(problem, k, found, value)]  # fmt: skip


def _largest(problem: FrontProblem, k: int, found: Sequence[Candidate], value: Value) -> float:
    """The largest absolute value of cost k on the front, but at least the cost's least coefficient."""
    form = problem.forms[k]
    steps = np.abs(form.coefficients[(problem.milp.lower < problem.milp.upper)[form.columns] & (form.coefficients != 0)])
    costs = [one.costs[k] for one in found]
    return max([float(steps.min()) if len(steps) else 0.0, *map(abs, costs), *(abs(value(k, cost)) for cost in costs)])


def _least(problem: FrontProblem, k: int, best: Candidate) -> list[Candidate]:
    """Points with the least cost k, found with a finer resolution in each round."""
    met: list[Candidate] = []
    for _ in range(ROUNDS):
        smaller = _cut(problem, {k: best.costs[k] + float(problem.resolution[k])}, [k], [best])
        if smaller is None or (least := smaller.best(k, {}, *smaller.known[:1])) is None:
            break
        met.append(smaller.refine(least))
        problem, best = smaller, met[-1]
    return met


def _cut(problem: FrontProblem, most: Mapping[int, float], wide: Sequence[int], known: Sequence[Candidate]) -> FrontProblem | None:
    """The problem with limits `most` of costs, as narrower bounds; None if no cost in `wide` gets a clearly finer resolution."""
    milp, forms = problem.milp, problem.forms
    sides = np.array([value - forms[k].constant for k, value in most.items()])
    names = [f"limit {k}" for k in most] if milp.row_names else []
    limited = replace(milp, rows=(*milp.rows, *(LinearForm(forms[k].columns, forms[k].coefficients) for k in most)),
                      row_lower=np.append(milp.row_lower, np.full(len(sides), -np.inf)),
                      row_upper=np.append(milp.row_upper, sides), row_names=(*milp.row_names, *names))  # fmt: skip
    try:
        limited = presolve(limited, forms)
    except InfeasibleError:  # by rounding only, because the known points are within the limits
        return None
    n = len(milp.rows)  # without the limits' rows: the narrower bounds are enough
    smaller = replace(limited, rows=limited.rows[:n], row_lower=limited.row_lower[:n], row_upper=limited.row_upper[:n],
                      row_names=limited.row_names[:n])  # fmt: skip
    found = replace(problem, milp=smaller, forms=[_without_fixed(form, smaller) for form in forms], known=())
    rounding = [0.0 if problem.exact is None else _rounding(form) for form in forms]
    widths = [width if len(form.columns) else 0.0 for width, form in zip(found.resolution.tolist(), found.forms, strict=True)]
    if not any(max(widths[k], rounding[k]) < problem.resolution[k] / 2 for k in wide):
        return None
    if any(rounding[k] > found.resolution[k] for k in wide):
        return None
    again = [found.candidate(one.x) for one in known]
    found.known = [one for one in again if one is not None]
    return found


def _without_fixed(form: LinearForm, milp: Milp) -> LinearForm:
    """The form with its fixed columns in the constant, exactly, so that large terms that cancel cause no rounding."""
    fixed = (milp.lower == milp.upper)[form.columns]
    if not fixed.any():
        return form
    pairs = zip(form.coefficients[fixed].tolist(), milp.lower[form.columns[fixed]].tolist(), strict=True)
    added = sum((Fraction(c) * Fraction(x) for c, x in pairs), Fraction(0))
    return LinearForm(form.columns[~fixed], form.coefficients[~fixed], float(Fraction(form.constant) + added))


def _rounding(form: LinearForm) -> float:
    """A bound of the rounding error of the form's value in doubles."""
    return 8 * _EPSILON * float(np.abs(form.coefficients).max(initial=0.0) + abs(form.constant))
