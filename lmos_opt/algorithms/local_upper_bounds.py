"""Any number of objectives: search zones by local upper bounds.

Klamroth, Lacour and Vanderpooten, "On the representation of the search region in multi-objective optimization",
EJOR 245 (2015), for the zones; Tamby and Vanderpooten, "Enumeration of the nondominated set of multiobjective discrete
optimization problems", INFORMS J. Computing 33 (2021), for exploring a zone by one bounded solve and one refinement.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import FrontProblem, below
from lmos_opt.algorithms.subproblems import Candidate

Bound = tuple[float, ...]


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield non-dominated points, beyond those known, until every zone below a local upper bound is proved empty."""
    bounds: list[Bound] = [(inf,) * problem.p]
    point = None
    for known in problem.known:
        bounds = split_zones(bounds, known.costs)
    while bounds:
        bound = bounds[-1]
        k = max(range(problem.p), key=lambda k: bound[k])  # an open side is searched, closed ones bound the search
        limits = {other: below(bound[other]) for other in range(problem.p) if other != k}
        found = problem.best(k, limits)
        if found is None or not problem.is_less(k, found.costs[k], bound[k]):
            bounds.pop()
            continue
        point = problem.refine(found)
        yield point
        bounds = split_zones(bounds, point.costs)
    if point is not None:
        problem.ask_for(point)


def split_zones(bounds: list[Bound], point: Bound) -> list[Bound]:
    """The local upper bounds after a point is known: those above it are split along each objective, redundant ones go.

    >>> split_zones([(9.0, 9.0)], (2.0, 5.0))
    [(2.0, 9.0), (9.0, 5.0)]
    """
    above = [bound for bound in bounds if all(y < u for y, u in zip(point, bound, strict=True))]
    kept = [bound for bound in bounds if bound not in above]
    parts = {(*u[:k], point[k], *u[k + 1:]) for u in above for k in range(len(point))}
    new = [u for u in parts
           if not any(u != other and all(a <= b for a, b in zip(u, other, strict=True)) for other in (*kept, *parts))]
    return kept + sorted(new)


ALGORITHM = Algorithm("local_upper_bounds", trace, least=1, most=None)
