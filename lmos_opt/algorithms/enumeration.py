"""Every split looked at: exact where they are few, as those of chains and of nearly all networks are.

No solver takes part. All splits are evaluated at once in arrays (`lmos_opt.listing`); what no other surely dominates is evaluated
again, each from where its layers run, and only those values count. So what rounding in the arrays can do is to have more splits
evaluated a second time, never to lose one.
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
