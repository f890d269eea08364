"""Algorithm 1: the order of its points, how many solves they take, and what ties cost."""

from __future__ import annotations

from lmos_opt import solvers
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.epsilon_constraint import ALGORITHM
from tests.lmos_opt.algorithms.arrays import binaries, form


def traced(*costs: tuple[float, ...], **options: object) -> tuple[list[tuple[float, ...]], int]:
    problem = FrontProblem(binaries(3, (1, 1, 1), 1), [form(*cost) for cost in costs], solvers.get("highs"), **options)
    return [found.costs for found in ALGORITHM.trace(problem)], problem.solves


def test_points_come_from_the_best_i_to_the_best_j():
    points, solves = traced((1, 2, 4), (-1, -2, -4))
    assert points == [(n, -n) for n in range(1, 8)]
    assert solves == len(points) + 1


def test_i_and_j_may_be_exchanged():
    points, _ = traced((1, 2, 4), (-1, -2, -4), optimised=1, constrained=0)
    assert points == [(n, -n) for n in range(7, 0, -1)]


def test_of_points_that_tie_in_i_the_one_that_is_better_in_j_is_kept():
    points, solves = traced((1, 1, 1), (-1, -2, -4))
    assert points == [(1, -4), (2, -6), (3, -7)]
    assert solves <= 2 * len(points) + 2


def test_one_point_that_is_best_in_both_is_the_whole_front():
    assert traced((1, 2, 4), (1, 2, 4))[0] == [(1, 1)]


def test_an_infeasible_program_has_no_points():
    problem = FrontProblem(binaries(2, (1, 1), 3), [form(1, 2), form(2, 1)], solvers.get("highs"))
    assert list(ALGORITHM.trace(problem)) == []
