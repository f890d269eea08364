"""Search zones: how points split them, which are redundant, and fronts of one, two and three objectives."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from lmos_opt import solvers
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.local_upper_bounds import ALGORITHM, split_zones
from lmos_opt.algorithms.subproblems import Candidate
from tests.lmos_opt.algorithms.arrays import binaries, form


@pytest.mark.parametrize(("bounds", "point", "expected"), [
    ([(inf, inf)], (2, 5), [(2, inf), (inf, 5)]),
    ([(2.0, 9.0), (9.0, 5.0)], (4, 3), [(2, 9), (4, 5), (9, 3)]),
    ([(2.0, 9.0), (9.0, 5.0)], (9, 9), [(2, 9), (9, 5)]),  # in none of the zones
    ([(3.0, 3.0, 3.0)], (1, 1, 1), [(1, 3, 3), (3, 1, 3), (3, 3, 1)]),
])  # fmt: skip
def test_a_point_splits_the_zones_that_it_lies_in(bounds, point, expected):
    assert sorted(map(tuple, split_zones(np.array(bounds), point).tolist())) == expected


def test_a_zone_inside_another_is_dropped():
    zones = np.full((1, 3), inf)
    for point in [(1, 3, 2), (2, 1, 3), (3, 2, 1)]:
        zones = split_zones(zones, point)
    found = zones.tolist()
    assert not any(a != b and all(x <= y for x, y in zip(a, b, strict=True)) for a in found for b in found)


@pytest.mark.parametrize(("costs", "expected"), [
    ([(1, 2, 4)], [(1,)]),
    ([(1, 2, 4), (-1, -2, -4)], [(n, -n) for n in range(1, 8)]),
    ([(1, 0, 0), (0, 1, 0), (0, 0, 1)], [(0, 0, 1), (0, 1, 0), (1, 0, 0)]),
])  # fmt: skip
def test_every_point_once_of_any_number_of_objectives(costs, expected):
    problem = FrontProblem(binaries(3, (1, 1, 1), 1), [form(*cost) for cost in costs], solvers.get("highs"))
    assert sorted(found.costs for found in ALGORITHM.trace(problem)) == expected


def test_known_points_are_not_found_again():
    known = [Candidate(np.array([1.0, 0, 0]), (1.0, 0.0, 0.0))]
    costs = [form(1, 0, 0), form(0, 1, 0), form(0, 0, 1)]
    problem = FrontProblem(binaries(3, (1, 1, 1), 1), costs, solvers.get("highs"), known=known)
    assert sorted(found.costs for found in ALGORITHM.trace(problem)) == [(0, 0, 1), (0, 1, 0)]
