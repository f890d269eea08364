"""The certified search against brute force, and against relaxations that lie."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import random_instance
from lmos_opt import pareto_front, trace_front
from lmos_opt.algorithms.branching import BranchAndBound, UnsettledError
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers import Outcome, Relaxed, Status, highs


def _program(seed: int) -> tuple[Milp, LinearForm]:
    """A small integer program with fractional data: 6 variables of 0..2, 3 rows."""
    rng = np.random.default_rng(seed)
    n = 6
    columns = np.arange(n)
    rows = tuple(LinearForm(columns, rng.normal(size=n) * 10 ** rng.uniform(-3, 3)) for _ in range(3))
    upper = np.array([abs(row.coefficients).sum() * rng.uniform(0.0, 1.0) for row in rows])
    milp = Milp("random", tuple(f"x{k}" for k in range(n)), np.zeros(n), np.full(n, 2.0), np.ones(n, dtype=bool), rows,
                np.full(3, -np.inf), upper)
    return milp, LinearForm(columns, rng.normal(size=n))


def _search(milp, objective, relaxation=None, node_limit=10**6):
    tree = BranchAndBound(milp, [], relaxation or highs.SOLVER.relax(milp, []), milp.integer_columns, True)

    def evaluate(x):
        exact = all(row.at(x) <= upper for row, upper in zip(milp.rows, milp.row_upper, strict=True))
        return objective.at(x) if exact else None

    return tree.search(objective, {}, evaluate, 1e-9, None, node_limit)


def _brute_force(milp, objective):
    best = None
    for values in itertools.product(range(3), repeat=len(milp.variables)):
        x = np.array(values, dtype=float)
        if all(row.at(x) <= upper for row, upper in zip(milp.rows, milp.row_upper, strict=True)):
            value = objective.at(x)
            best = value if best is None else min(best, value)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_integers_below_zero_stay_there_beside_what_binaries_imply(seed):
    """Of x <= y, both binary, each pulls the other; three integers that reach below zero are none of their business."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0.0, 0.0, -3.0, -3.0, -2.0]), np.array([1.0, 1.0, 0.0, 2.0, -1.0])
    implied = LinearForm(np.array([0, 1]), np.array([1.0, -1.0]))
    rows = (implied, *(LinearForm(np.arange(5), rng.normal(size=5)) for _ in range(2)))
    upper = np.array([0.0, *rng.normal(size=2)])
    milp = Milp("implied", tuple("xyabc"), low, high, np.ones(5, dtype=bool), rows, np.full(3, -np.inf), upper)
    objective = LinearForm(np.arange(5), rng.normal(size=5))
    found = _search(milp, objective)
    points = itertools.product(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)))
    values = [objective.at(np.array(x)) for x in points
              if all(row.at(np.array(x)) <= upper for row, upper in zip(rows, milp.row_upper, strict=True))]  # fmt: skip
    assert (found is None) == (not values)
    assert not values or found.cost == pytest.approx(min(values), abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_the_least_cost_is_found_and_proved(seed):
    milp, objective = _program(seed)
    found = _search(milp, objective)
    best = _brute_force(milp, objective)
    assert (found is None) == (best is None)
    assert best is None or found.cost == pytest.approx(best, abs=1e-9)


class _Liar:
    """A relaxation that lies about its status, its solution and its multipliers, at random."""

    def __init__(self, milp, extra_rows, seed):
        self._true = highs.SOLVER.relax(milp, extra_rows)
        self._rng = random.Random(seed)

    def forget(self):
        pass

    def pose(self, objective, row_upper):
        self._true.pose(objective, row_upper)

    def solve(self, lower, upper):
        told = self._true.solve(lower, upper)
        lie = self._rng.random()
        noise = np.random.default_rng(self._rng.randrange(2**32))
        if lie < 0.15:
            return Relaxed(Status.FAILED, None, None)
        if lie < 0.3 and told.x is not None:  # calls a feasible box empty, with a ray that proves nothing
            return Relaxed(Status.INFEASIBLE, None, told.duals)
        if lie < 0.45 and told.duals is not None:
            return replace(told, duals=told.duals * noise.uniform(0.0, 3.0, len(told.duals)))
        if lie < 0.6 and told.x is not None:
            return replace(told, x=noise.uniform(lower, upper))
        return told


@pytest.mark.parametrize("seed", range(15))
def test_a_relaxation_that_lies_costs_nodes_never_the_optimum(seed):
    milp, objective = _program(seed)
    found = _search(milp, objective, _Liar(milp, [], seed))
    best = _brute_force(milp, objective)
    assert (found is None) == (best is None)
    assert best is None or found.cost == pytest.approx(best, abs=1e-9)


class _LyingSolver(highs.Highs):
    def relax(self, milp, extra_rows):
        return _Liar(milp, extra_rows, 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_front_traced_with_lies_is_whole(seed):
    instance = random_instance(seed, most_layers=8)
    front = pareto_front(instance, solver=_LyingSolver())
    assert mistakes(front, instance, ["latency", "memory"], "sum") == []


class _Dead:
    """A relaxation that never answers: the search enumerates."""

    def forget(self):
        pass

    def pose(self, objective, row_upper):
        pass

    def solve(self, lower, upper):
        return Relaxed(Status.FAILED, None, None)


def test_without_any_relaxation_the_search_enumerates():
    milp, objective = _program(3)
    assert _search(milp, objective, _Dead()).cost == pytest.approx(_brute_force(milp, objective), abs=1e-12)


def test_the_node_limit_is_an_error_not_an_answer():
    milp, objective = _program(3)
    with pytest.raises(UnsettledError):
        _search(milp, objective, _Dead(), node_limit=100)


def test_bounds_hold_for_any_multipliers():
    """Weak duality: whatever the multipliers, the bound is below every feasible cost of the box."""
    milp, objective = _program(8)
    tree = BranchAndBound(milp, [], highs.SOLVER.relax(milp, []), milp.integer_columns, True)
    cost = np.zeros(len(milp.variables))
    cost[objective.columns] = objective.coefficients
    best = _brute_force(milp, objective)
    rng = np.random.default_rng(0)
    for _ in range(300):
        duals = rng.normal(size=len(milp.rows)) * 10 ** rng.uniform(-6, 3)
        assert tree._bound(cost, duals, milp.lower, milp.upper, milp.row_upper)[0] <= best
        assert not tree._is_empty(duals, milp.lower, milp.upper, milp.row_upper)


class _Fails:
    """A relaxation that has no word on most boxes."""

    def __init__(self, relaxation, seed, share):
        self._relaxation, self._rng, self._share = relaxation, random.Random(seed), share

    def forget(self):
        self._relaxation.forget()

    def pose(self, *arguments):
        self._relaxation.pose(*arguments)

    def solve(self, *arguments):
        if self._rng.random() < self._share:
            return Relaxed(Status.FAILED, None, None)
        return self._relaxation.solve(*arguments)


class _Silent(highs.Highs):
    """HiGHS whose relaxations fail now and then, and whose integer programs always do."""

    def __init__(self, seed, share):
        super().__init__()
        object.__setattr__(self, "failing", (seed, share))

    def relax(self, *arguments):
        return _Fails(super().relax(*arguments), *self.failing)

    def open(self, *arguments):
        return _NoSession()


class _NoSession:
    def solve(self, *arguments):
        return Outcome(Status.FAILED)


def _covering(seed):
    """Fractional data and a continuous variable: fixing all binaries leaves it to the relaxation to say what it is."""
    rng = np.random.default_rng(seed)
    weight, price, height = rng.uniform(1, 10, (3, 6))
    m = pyo.ConcreteModel("covering")
    m.x = pyo.Var(range(6), domain=pyo.Binary)
    m.top = pyo.Var(bounds=(0, 100))
    m.enough = pyo.Constraint(expr=sum(weight[k] * m.x[k] for k in range(6)) >= 0.4 * weight.sum())
    m.high = pyo.Constraint(range(6), rule=lambda m, k: m.top >= height[k] * m.x[k])
    m.cost, m.height = pyo.Objective(expr=sum(price[k] * m.x[k] for k in range(6))), pyo.Objective(expr=m.top)
    return m


@pytest.mark.parametrize("share", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_leaf_with_continuous_variables_is_not_closed_without_a_proof(seed, share):
    m = _covering(seed)
    expected = [tuple(p.values.values()) for p in trace_front(m, [m.cost, m.height]).points]
    front = trace_front(m, [m.cost, m.height], solver=_Silent(seed, share))
    if front.complete:
        assert np.allclose([tuple(p.values.values()) for p in front.points], expected)
    else:
        assert "failed" in front.reason
    assert share < 1.0 or not front.complete
