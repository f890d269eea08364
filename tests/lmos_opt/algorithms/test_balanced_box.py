"""The balanced box method: both ends first, then the widest gap, and nothing that is known already."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lmos_opt import solvers
from lmos_opt.algorithms.balanced_box import ALGORITHM
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.subproblems import Candidate
from tests.lmos_opt.algorithms.arrays import binaries, form

LINE = [(float(n), float(-n)) for n in range(8)]


def problem(*known: tuple[float, float]) -> FrontProblem:
    """Three binaries whose front is LINE."""
    found = [Candidate(np.array([int(a) >> k & 1 for k in range(3)], dtype=float), (a, b)) for a, b in known]
    return FrontProblem(binaries(3), [form(1, 2, 4), form(-1, -2, -4)], solvers.get("highs"), known=found)


def test_the_ends_come_first_and_then_a_point_of_the_nearer_half():
    points = [found.costs for found in ALGORITHM.trace(problem())]
    assert points[:3] == [LINE[0], LINE[7], LINE[4]]
    assert sorted(points) == LINE


def test_a_run_that_is_cut_short_has_points_all_along_the_front():
    found = ALGORITHM.trace(problem())
    few = sorted(next(found).costs for _ in range(4))
    assert few[0] == LINE[0]
    assert few[-1] == LINE[7]
    assert max(b[0] - a[0] for a, b in pairwise(few)) < 7


def test_known_points_are_not_found_again():
    assert sorted(found.costs for found in ALGORITHM.trace(problem(LINE[0], LINE[3], LINE[7]))) == [
        point for point in LINE if point not in (LINE[0], LINE[3], LINE[7])]


def test_where_all_is_known_nothing_is_found():
    assert list(ALGORITHM.trace(problem(*LINE))) == []


def test_an_infeasible_program_has_no_points():
    nothing = FrontProblem(binaries(2, (1, 1), 3), [form(1, 2), form(2, 1)], solvers.get("highs"))
    assert list(ALGORITHM.trace(nothing)) == []
