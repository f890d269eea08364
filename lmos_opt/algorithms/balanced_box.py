"""Two objectives, the widest gap first: the balanced box method, at most three solves for each point.

Boland, Charkhgard and Savelsbergh, "A criterion space search algorithm for biobjective integer programming: the balanced box
method", INFORMS J. Computing 27 (2015). A box lies between two neighbouring points and is halved in j. The first search looks for
the best i in the half nearer to the best j, the second one for the best j among all that is better in i than this. So a run that
ends early has points along the whole front, while Algorithm 1 has one end of it.

For real values (our addition): the height at which a box is halved decides only the order of the points, because it does not bound
the second search. If the halves of a box would be smaller than the values' resolution, only the second search is done. Every search
has an end of its box as a witness, so none is infeasible, and the answer of a solver that says so is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count, pairwise

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import FrontProblem, Limit, below
from lmos_opt.algorithms.subproblems import Candidate

Box = tuple[float, int, Candidate, Candidate]
"""Its area, negative (the heap's least is the widest), a number for ties, and its ends: better in i, better in j."""


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield non-dominated points, beyond those known, until every box between two neighbours is proved empty."""
    i, j = problem.optimised, problem.constrained

    def better(k: int, limits: dict[int, Limit], known: Candidate | None) -> Candidate | None:
        """The non-dominated point of least cost k within the limits, None if the known one has that cost."""
        found = problem.best(k, limits, known)
        if found is None or (known is not None and not problem.is_less(k, found.costs[k], known.costs[k])):
            return None
        return problem.refine(found)

    points = sorted(problem.known, key=lambda known: known.costs[i])
    first = better(i, {}, points[0] if points else None)
    if first is not None:
        yield first
        points.insert(0, first)
    if not points:
        return
    last = better(j, {}, points[-1])
    if last is not None:
        yield last
        points.append(last)

    numbers = count()

    def box(a: Candidate, b: Candidate) -> Box:
        return (a.costs[i] - b.costs[i]) * (a.costs[j] - b.costs[j]), next(numbers), a, b

    boxes = [box(a, b) for a, b in pairwise(points)]
    heapify(boxes)
    while boxes:
        _, _, a, b = heappop(boxes)
        middle = b.costs[j] + (a.costs[j] - b.costs[j]) / 2
        lower = None
        if problem.is_less(j, middle, a.costs[j]) and problem.is_less(j, b.costs[j], middle):
            lower = better(i, {j: below(middle)}, b)
        if lower is not None:
            yield lower
            heappush(boxes, box(lower, b))
        upper = better(j, {i: below((lower or b).costs[i])}, a)
        if upper is not None:
            yield upper
            heappush(boxes, box(a, upper))


ALGORITHM = Algorithm("balanced_box", trace, least=2, most=2)
