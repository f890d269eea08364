"""Every split is evaluated: exact and fast if there are few splits, as in chains and nearly all networks.

No solver is used. All splits are evaluated at once in arrays (`lmos_opt.listing`). Splits that no other surely dominates are
evaluated again, each from where its layers run, and only those values count. So rounding in the arrays can only cause more second
evaluations. It never loses a split.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import InputError


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield all splits that may be non-dominated. InputError for a problem that is not one of splits."""
    if problem.listing is None:
        raise InputError("algorithm", "enumeration is for splits of an instance; this is another model")
    yield from problem.listing.candidates(problem.check_time)


ALGORITHM = Algorithm("enumeration", trace, least=1, most=None)
