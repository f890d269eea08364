"""Fronts of the literature's programs beside ground truth: knapsacks by dynamic programming, assignments and set
partitionings by enumeration; two to four objectives, offsets, constants, negative values, both senses."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyomo.environ as pyo
import pytest

from lmos_opt import trace_front


def _non_dominated(costs):
    kept = []
    for cost in sorted(set(costs)):
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other in kept):
            kept.append(cost)
    return kept


def _add_objectives(m, tables, offsets, signs):
    """Objectives over m.x, those of sign -1 to be maximised."""
    found = []
    for k, (table, offset, sign) in enumerate(zip(tables, offsets, signs, strict=True)):
        sense = pyo.minimize if sign == 1 else pyo.maximize
        m.add_component(f"f{k}", pyo.Objective(expr=sum(table[j] * m.x[j] for j in table) + offset, sense=sense))
        found.append(m.component(f"f{k}"))
    return found


def _check(m, tables, offsets, signs, expected):
    objectives = _add_objectives(m, tables, offsets, signs)
    front = trace_front(m, objectives)
    found = sorted(tuple(sign * p.values[o.name] for sign, o in zip(signs, objectives, strict=True)) for p in front.points)
    assert front.complete
    assert len(found) == len(expected)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-7)


def _packings(weights, values, capacity):
    """The non-dominated (weight, -values...) of all subsets within the capacity, item after item."""
    states = np.zeros((1, 1 + len(values)))
    for weight, *value in zip(weights, *values, strict=True):
        packed = states + np.array([weight, *(-v for v in value)])
        states = np.unique(np.concatenate([states, packed[packed[:, 0] <= capacity]]), axis=0)
        kept = np.ones(len(states), dtype=bool)
        for k in range(len(states)):
            if kept[k]:
                worse = np.all(states[k] <= states, axis=1)
                worse[k] = False
                kept &= ~worse
        states = states[kept]
    return states


@pytest.mark.parametrize(("n", "p", "real"), [(22, 2, False), (12, 3, False), (9, 4, False), (14, 2, True), (9, 3, True)])
@pytest.mark.parametrize("seed", range(3))
def test_knapsacks(n, p, real, seed):
    rng = random.Random(f"knapsack {n} {p} {seed}")
    weights = [rng.randint(1, 100) for _ in range(n)]
    values = [[rng.uniform(1, 100) if real else rng.randint(1, 100) for _ in range(n)] for _ in range(p)]
    offsets = [rng.choice([0, 5, -17]) for _ in range(p)]
    capacity = sum(weights) // 2
    m = pyo.ConcreteModel("knapsack")
    m.x = pyo.Var(range(n), domain=pyo.Binary)
    m.capacity = pyo.Constraint(expr=sum(weights[j] * m.x[j] for j in range(n)) <= capacity)
    packed = _packings(weights, values, capacity)[:, 1:] - np.array(offsets)
    expected = _non_dominated(map(tuple, packed))
    _check(m, [dict(enumerate(v)) for v in values], offsets, [-1] * p, expected)


@pytest.mark.parametrize("style", ["whole", "negative", "real", "constant"])
@pytest.mark.parametrize("p", [2, 3, 4])
def test_assignments(p, style):
    n = 4 if p == 4 or (p == 3 and style == "real") else 5  # fronts of real numbers hold nearly all, each by a search of its own
    for seed in range(1 if p > 2 else 2):
        rng = random.Random(f"assignment {p} {style} {seed}")
        cells = list(itertools.product(range(n), range(n)))
        least = -20 if style in ("negative", "real") else 0
        tables = [{c: rng.uniform(least, 20) if style == "real" else rng.randint(least, 20) for c in cells} for _ in range(p)]
        if style == "constant":
            tables[-1] = dict.fromkeys(cells, 3)
        signs = [rng.choice([1, -1]) for _ in range(p)]
        m = pyo.ConcreteModel("assignment")
        m.x = pyo.Var(cells, domain=pyo.Binary)
        m.rows = pyo.Constraint(range(n), rule=lambda m, i: sum(m.x[i, j] for j in range(n)) == 1)
        m.columns = pyo.Constraint(range(n), rule=lambda m, j: sum(m.x[i, j] for i in range(n)) == 1)
        costs = [tuple(round(sign * (sum(table[i, q[i]] for i in range(n)) + k), 9)
                       for k, (table, sign) in enumerate(zip(tables, signs, strict=True)))
                 for q in itertools.permutations(range(n))]  # fmt: skip
        _check(m, tables, range(p), signs, _non_dominated(costs))


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_set_partitionings(p, seed):
    rng = random.Random(f"partitioning {p} {seed}")
    sets = [{i} for i in range(8)] + [set(rng.sample(range(8), rng.randint(1, 4))) for _ in range(14)]
    tables = [{j: rng.randint(-10, 50) for j in range(len(sets))} for _ in range(p)]
    m = pyo.ConcreteModel("partitioning")
    m.x = pyo.Var(range(len(sets)), domain=pyo.Binary)
    m.once = pyo.Constraint(range(8), rule=lambda m, i: sum(m.x[j] for j, s in enumerate(sets) if i in s) == 1)
    found = []

    def partition(covered, costs):
        left = next((i for i in range(8) if i not in covered), None)
        if left is None:
            found.append(costs)
            return
        for j, members in enumerate(sets):
            if left in members and not members & covered:
                partition(covered | members, tuple(c + t[j] for c, t in zip(costs, tables, strict=True)))

    partition(frozenset(), (0,) * p)
    _check(m, tables, [0] * p, [1] * p, _non_dominated(found))
