"""Algorithm 1 of the paper: the ε-constraint method for two objectives (Chankong and Haimes), N + 1 solves for N points.

i is optimised, j constrained. Each step bounds j strictly below the last solution's value and finds the best i there. This solution
is on the front unless the next step finds the same i again at a better j. So the second solve of a step, best j at that i, is left
out. If such a tie appears, it costs one more solve. After more ties than saved solves, no solve is left out any more. N points take
N + 1 solves, with ties up to 2N + 2.

The best j, known from the start, is a solution of every step's subproblem. So none of them is infeasible, and the answer of a
solver that says so is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import FrontProblem, at_most, below
from lmos_opt.algorithms.subproblems import Candidate


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield the front from the best i to the best j; nothing if the problem is infeasible."""
    i, j = problem.optimised, problem.constrained

    def best_j(tied: Candidate) -> Candidate:
        return problem.best(j, {i: at_most(tied.costs[i])}, tied) or tied

    end = problem.best(j, {})
    if end is None:
        return
    found = problem.best(i, {}, end) or end
    is_best_j, spared = False, 0
    while problem.is_less(j, end.costs[j], found.costs[j]):
        if spared < 0 and not is_best_j:
            found, is_best_j = best_j(found), True
            continue
        further = problem.best(i, {j: below(found.costs[j])}, end) or end
        if problem.is_less(i, found.costs[i], further.costs[i]):
            yield found
            spared += not is_best_j
            found, is_best_j = further, False
        else:
            found, is_best_j = best_j(further), True
            spared -= 1
    yield found


ALGORITHM = Algorithm("epsilon_constraint", trace, least=2, most=2)
