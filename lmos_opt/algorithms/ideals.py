"""The objective `load` alone: a dynamic program over down-sets (order ideals), the sets of layers that may run up to a place.

Layers that are never better apart become one first (`lmos_opt.placement.merging`). Then all down-sets are listed, and the best
chain of them is searched under limits that rise from the proved bound (`lmos_opt.placement.searching`). If there are more than
MOST_SETS, only those are listed that a limit allows (`lmos_opt.placement.limited`), beginning with an answer whose sets are near
the layers' order. If these are too many as well, the integer program is searched, with the answer and the bound so far.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmos_opt.algorithms import Algorithm, local_upper_bounds
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import InputError
from lmos_opt.placement.down_sets import down_sets
from lmos_opt.placement.merging import reduced
from lmos_opt.placement.searching import (
    MOST_NEAR,
    MOST_PARTIAL,
    MOST_SETS,
    Progress,
    along_one_order,
    least_loads,
    nearer,
    shared_out,
    under_limits,
)


def trace(problem: FrontProblem) -> Iterator[Candidate]:
    """Yield the answer. InputError if the problem is another one, or has limits or constraints of its own."""
    placing = problem.placing
    if placing is None:
        raise InputError("algorithm", "ideals is for the objective load alone, without memory limits, a proper split, codecs, and "
                                      "variables and constraints of one's own")
    smaller = reduced(placing.blocks)

    def known(progress: Progress) -> Candidate:
        """The best answer so far, as what the front has if its time ends now, and what is proved."""
        found = problem.candidate(placing.vector([smaller.expanded(before) for before in progress.placed.upto]))
        assert found is not None  # there is nothing that it could break
        problem.met(found)
        problem.bound = progress.bound_s
        return found

    placed, proved = along_one_order(smaller.blocks), shared_out(smaller.blocks)
    best = known(Progress(placed, proved))
    sets = down_sets(smaller.blocks.needs, MOST_SETS)
    if sets is None or sets.shape[1] > MOST_NEAR:
        for better in nearer(smaller.blocks, placed, problem.check_time):
            placed, best = better, known(Progress(better, proved))
    steps = (under_limits(smaller.blocks, placed, problem.check_time, MOST_PARTIAL) if sets is None else
             least_loads(smaller.blocks, sets, placed, problem.check_time))  # fmt: skip
    for progress in steps:
        best, placed, proved = known(progress), progress.placed, progress.bound_s
    if proved < placed.load_s:
        yield from local_upper_bounds.trace(problem)
    else:
        yield best


ALGORITHM = Algorithm("ideals", trace, least=1, most=1)
