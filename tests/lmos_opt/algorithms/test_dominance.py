"""Which candidates stay."""

from __future__ import annotations

import numpy as np
import pytest

from lmos_opt import solvers
from lmos_opt.algorithms.dominance import non_dominated
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.subproblems import Candidate
from tests.lmos_opt.algorithms.arrays import binaries, form

PROBLEM = FrontProblem(binaries(2), [form(1, 2), form(3, 1)], solvers.get("highs"))


def kept(*costs: tuple[float, float]) -> list[tuple[float, ...]]:
    return [one.costs for one in non_dominated(PROBLEM, [Candidate(np.zeros(2), pair) for pair in costs])]


@pytest.mark.parametrize(("costs", "expected"), [
    ([], []),
    ([(2, 1), (1, 2)], [(1, 2), (2, 1)]),
    ([(1, 2), (1, 3), (2, 2)], [(1, 2)]),
    ([(1, 2), (1, 2)], [(1, 2)]),
    ([(3, 0), (0, 3), (1, 1), (2, 2)], [(0, 3), (1, 1), (3, 0)]),
])  # fmt: skip
def test_dominated_and_equal_ones_go_and_the_others_are_ordered_by_the_first_cost(costs, expected):
    assert kept(*costs) == expected


def test_what_differs_by_less_than_the_resolution_is_equal():
    step = PROBLEM.resolution[0]
    assert len(kept((1, 2), (1 - step / 2, 2 + step / 2))) == 1
    assert len(kept((1, 2), (1 - 2 * step, 2 + 2 * PROBLEM.resolution[1]))) == 2
