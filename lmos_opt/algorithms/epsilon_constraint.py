"""Algorithm 1 of the paper: the ε-constraint method for two objectives (Chankong and Haimes), two solves a point.

i is optimised, j constrained. Each step bounds j strictly below the last point's value, finds the best i there, then
the best j at that i, so that every point is efficient. The last point, best in j, is known from the start: it is a
solution of every step's subproblem, so none of them is infeasible, and a solver that says so is not believed.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import Candidate, FrontProblem, at_most, below


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield the front from the best i to the best j; nothing if the problem is infeasible."""
    i, j = problem.optimised, problem.constrained
    least_j = problem.best(j, {})
    if least_j is None:
        return
    end = problem.best(i, {j: at_most(least_j.costs[j])}, least_j) or least_j
    yield end
    least_i = problem.best(i, {}, end) or end
    while problem.is_less(i, least_i.costs[i], end.costs[i]):
        point = problem.best(j, {i: at_most(least_i.costs[i])}, least_i) or least_i
        yield point
        least_i = problem.best(i, {j: below(point.costs[j])}, end) or end


ALGORITHM = Algorithm("epsilon_constraint", trace, least=2, most=2)
