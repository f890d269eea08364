"""Layers are placed one after another; among partial splits that can continue in the same ways, only the better ones are kept.

Exact for two places, linear objectives and memory, for any number of splits: the work depends on how many tensors wait for a reader
at a time (`lmos_opt.listing.layerwise`, with its proof). No solver is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import InputError


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield all splits that may be non-dominated. InputError for a problem of another kind."""
    if problem.listing is None:
        raise InputError("algorithm", WHAT_FOR)
    yield from problem.listing.candidates(problem.check_time)


WHAT_FOR = ("layerwise is for splits between two places, for linear objectives that are shipped and the first place's memory, "
            "without groups, limits at the second place, weights that parallel layers share, and variables and constraints of "
            "one's own")  # fmt: skip
ALGORITHM = Algorithm("layerwise", trace, least=1, most=None)
