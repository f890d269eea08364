"""Which solutions no other dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.listed import ListedProblem
from lmos_opt.algorithms.scaling import RELATIVE
from lmos_opt.algorithms.subproblems import Candidate

FEW = 200
"""Of so many candidates all pairs are compared at once."""


def non_dominated(problem: FrontProblem | ListedProblem, found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that no other dominates, each cost vector once, ordered by the first cost."""
    ordered = sorted(found, key=lambda c: c.costs)
    costs = np.array([c.costs for c in ordered]).reshape(-1, problem.p)
    width = np.asarray(problem.resolution)
    if problem.listing is not None and problem.listing.is_added_up:
        width = np.minimum(width, RELATIVE * np.abs(costs))
    best, least = costs - width, np.zeros(len(ordered), dtype=bool)
    if len(ordered) <= FEW:  # mostly none dominates another: then each is as good as only itself
        as_good = np.all(best[:, None] <= costs, axis=2)
        if int(as_good.sum()) == len(ordered):
            return ordered
    for k in range(len(ordered)):
        if not np.any(least[:k] & np.all(best[:k] <= costs[k], axis=1)):
            least[:k] &= ~np.all(best[k] <= costs[:k], axis=1)
            least[k] = True
    return [ordered[k] for k in np.flatnonzero(least)]
