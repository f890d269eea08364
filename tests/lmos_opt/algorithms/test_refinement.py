"""Refined values: what a tolerance left is taken off, and what has no solution stays as it was."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lmos_opt.algorithms.refinement import Refinement
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers.highs import SOLVER

THIRD = 1 / 3


def _makespan(loads=(1.1, THIRD, 0.7)):
    """`z >= load[k] * y[k]` for each k: z is the largest load of those that are on."""
    n = len(loads)
    rows = tuple(LinearForm(np.array([n, k]), np.array([1.0, -load])) for k, load in enumerate(loads))
    return Milp("makespan", (*(f"y{k}" for k in range(n)), "z"), np.zeros(n + 1), np.array([1.0] * n + [10.0]),
                np.array([True] * n + [False]), rows, np.zeros(n), np.full(n, np.inf))  # fmt: skip


def _refined(milp, x, upper=()):
    z = LinearForm(np.array([3]), np.array([1.0]))
    refinement = Refinement(milp, [z], np.array([1.0, 1.0, 1.0, 8.0]), SOLVER)
    return refinement.refined(np.array(x), z, dict(upper))


def test_a_value_off_by_a_tolerance_becomes_that_of_its_corner():
    for off in (1e-9, -1e-9, 3e-7, 0.0):
        found = _refined(_makespan(), [0.0, 1.0, 0.0, THIRD + off])
        assert abs(Fraction(found[3]) - Fraction(THIRD)) < Fraction(1, 10**15)
        assert found[:3].tolist() == [0, 1, 0]


def test_a_value_near_its_bound_is_the_bound():
    assert _refined(_makespan(), [0.0, 0.0, 0.0, 2e-9])[3] == 0


def test_where_nothing_satisfies_the_rows_the_vector_stays():
    x = [1.0, 0.0, 0.0, 1.1]
    assert _refined(_makespan(), x, {3: 1.0}.items()).tolist() == x
