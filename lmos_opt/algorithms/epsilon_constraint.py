"""Algorithm 1 of the paper: the ε-constraint method for two objectives (Chankong and Haimes).

i is optimised, j constrained. Each step bounds j strictly below the last point's value and finds the best i there and,
of these, the best j, so that every point is efficient: two solves, or one where both are whole numbers. The last point,
best in j, is known from the start: it is a solution of every step's subproblem, so none of them is infeasible, and a
solver that says so is not believed. N points take 2N + 1 solves, or N + 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import Candidate, FrontProblem, below


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield the front from the best i to the best j; nothing if the problem is infeasible."""
    i, j = problem.optimised, problem.constrained
    end = problem.lexicographic(j, i, {})
    if end is None:
        return
    yield end
    point = problem.lexicographic(i, j, {}, end) or end
    while problem.is_less(i, point.costs[i], end.costs[i]):
        yield point
        point = problem.lexicographic(i, j, {j: below(point.costs[j])}, end) or end


ALGORITHM = Algorithm("epsilon_constraint", trace, least=2, most=2)
