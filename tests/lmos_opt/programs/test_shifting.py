"""Columns that are far from zero, measured from where they begin."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pyomo.environ as pyo
import pytest

from lmos_opt import trace_front


def _front(values):
    return [v for v in sorted(set(values)) if not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in values)]


@pytest.mark.parametrize("first", [10**9, -(10**9), 10**6])
def test_integers_far_from_zero_and_what_follows_from_them(first):
    """Two integers that move by 2 and 3, a real number that an equation makes of them, and a row that leaves some pairs out."""
    m = pyo.ConcreteModel("far")
    m.x = pyo.Var(domain=pyo.Integers, bounds=(first, first + 2))
    m.y = pyo.Var(domain=pyo.Integers, bounds=(first, first + 3))
    m.z = pyo.Var()
    m.made = pyo.Constraint(expr=m.z == 3.33 * m.x - 1.85 * m.y + 0.4)
    m.kept = pyo.Constraint(expr=m.x + m.y >= 2 * first + 2)
    m.f = pyo.Objective(expr=0.37 * m.z + 0.11 * m.x)
    m.g = pyo.Objective(expr=0.29 * m.y - 1.7 * m.x, sense=pyo.maximize)
    front = trace_front(m, [m.f, m.g])
    points = [(Fraction(x), Fraction(y)) for x, y in itertools.product(range(first, first + 3), range(first, first + 4))
              if x + y >= 2 * first + 2]  # fmt: skip
    values = [(Fraction(0.37) * (Fraction(3.33) * x - Fraction(1.85) * y + Fraction(0.4)) + Fraction(0.11) * x,
               -(Fraction(0.29) * y - Fraction(1.7) * x)) for x, y in points]  # fmt: skip
    assert front.complete
    best = [pytest.approx(tuple(map(float, value)), rel=1e-14) for value in _front(values)]
    assert [(p.values["f"], -p.values["g"]) for p in front] == best
    assert {p.solution["x"] for p in front} <= set(range(first, first + 3))


def test_a_program_that_is_near_zero_stays_as_it_is():
    m = pyo.ConcreteModel("near")
    m.x = pyo.Var(domain=pyo.Integers, bounds=(1, 3))
    m.f, m.g = pyo.Objective(expr=0.3 * m.x), pyo.Objective(expr=-0.7 * m.x)
    assert [p.solution["x"] for p in trace_front(m, [m.f, m.g])] == [1, 2, 3]
