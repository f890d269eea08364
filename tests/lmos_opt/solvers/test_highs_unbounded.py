"""What HiGHS calls unbounded, beside models of which a certificate says what they are; and the time of one solve."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pyomo.environ as pyo
import pytest

from lmos_opt import InfeasibleError, InputError, trace_front
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers import Status, limited
from lmos_opt.solvers.highs import Highs


def _model(rows, sides, costs, lower):
    m = pyo.ConcreteModel("toy")
    m.x = pyo.Var(range(len(costs)), domain=pyo.Integers)
    for k, low in enumerate(lower):
        m.x[k].setlb(low)
    m.rows = pyo.ConstraintList()
    for row, side in zip(rows, sides, strict=True):
        if any(row):
            m.rows.add(sum(a * m.x[k] for k, a in enumerate(row)) == side)
    m.p = pyo.Objective(expr=sum(cost * m.x[k] for k, cost in enumerate(costs)))
    return m


def _odd(random):
    """Equations of integers that no values meet: a sum of multiples of them says that an even number is odd."""
    n, m = random.randint(2, 5), random.randint(2, 4)
    rows = [[random.randint(-3, 3) for _ in range(n)] for _ in range(m - 1)]
    multipliers = [random.choice([1, -1, 2, 3]) for _ in rows]
    sides = [random.randint(-5, 5) for _ in rows]
    last = [2 * random.randint(-3, 3) - sum(y * row[k] for y, row in zip(multipliers, rows, strict=True)) for k in range(n)]
    sides.append(2 * random.randint(-3, 3) + 1 - sum(y * side for y, side in zip(multipliers, sides, strict=True)))
    costs = [random.randint(-3, 3) or 1 for _ in range(n)]
    return _model([*rows, last], sides, costs, [random.choice([None, None, 0]) for _ in range(n)])


def _endless(random):
    """Equations that a whole point meets, and a whole direction in which the cost falls and nothing else changes."""
    n = random.randint(3, 5)
    point, direction = ([random.randint(-3, 3) for _ in range(n)] for _ in range(2))
    direction[0] = 1
    rows = [[0, *(random.randint(-3, 3) for _ in range(n - 1))] for _ in range(2)]
    for row in rows:
        row[0] = -sum(a * b for a, b in zip(row, direction, strict=True))
    sides = [sum(a * b for a, b in zip(row, point, strict=True)) for row in rows]
    costs = [0, *(random.randint(-3, 3) for _ in range(n - 1))]
    costs[0] = -1 - sum(a * b for a, b in zip(costs, direction, strict=True))
    return _model(rows, sides, costs, [None] * n)


def test_a_model_without_a_solution_is_not_called_unbounded():
    """A third of them were."""
    found = []
    for seed in (0, 1, 2, 3, 4, 12, 15, 16, 18, 19):
        m = _odd(Random(seed))
        try:
            found.append(trace_front(m, [m.p], time_limit_s=10).complete)
        except InfeasibleError:
            found.append(None)
    assert not any(found)  # none is a whole front
    assert found.count(None) > 2


@pytest.mark.parametrize("seed", range(8))
def test_an_unbounded_model_is_refused_by_the_name_of_its_objective(seed):
    m = _endless(Random(seed))
    with pytest.raises(InputError, match="objective p is unbounded"):
        trace_front(m, [m.p])


@dataclass(frozen=True)
class Noting(Highs):
    name: str = "noting"

    def open(self, milp, extra_rows):
        raise InputError("limit", f"{self.program_limit_s}")


def test_a_time_limit_is_also_that_of_one_solve():
    form = LinearForm(np.arange(1), np.ones(1))
    milp = Milp("one", ("x",), np.zeros(1), np.ones(1), np.ones(1, dtype=bool), (form,), np.zeros(1), np.ones(1))
    for limit_s, status in ((None, Status.OPTIMAL), (0.0, Status.TIME_LIMIT)):
        session = limited(Highs(), limit_s).open(milp, [])
        assert session.solve(form, {}, [], 0).status is status
    assert limited(limited(Highs(), 2.0), 3.0).program_limit_s == 2.0
    m = _endless(Random(0))
    with pytest.raises(InputError, match=r"7\.5"):
        trace_front(m, [m.p], solver=Noting(), time_limit_s=7.5)
