"""`trace_front` on any Pyomo MILP: published fronts, mixed senses, statuses, and a model that stays as it was."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pyomo.environ as pyo
import pytest

from lmos_opt import Front, InfeasibleError, InputError, algorithms, iter_front, trace_front
from lmos_opt.algorithms.sieve import Sieve
from lmos_opt.data import data_dir
from lmos_opt.solvers import Outcome, Relaxed, Status, highs

PUBLISHED = sorted((data_dir() / "published").glob("*.json"))
SEARCHES = [name for name in algorithms.names(2) if name not in {"enumeration", "layerwise"}]
"""Algorithms for any program; an enumeration is one of splits."""
QUICK = {"moa_issue58_mixed", "moa_kp10_p2", "moa_kp10_p3", "moa_kp17_p2", "symphony114_2kp9"}


def _published(path):
    data = json.loads(path.read_text())
    n = len(data["c"][0])
    m = pyo.ConcreteModel(data["name"])
    if data["vars"] == "binary":
        m.x = pyo.Var(range(n), domain=pyo.Binary)
    else:
        m.x = pyo.Var(range(n), domain=pyo.NonNegativeIntegers, bounds=lambda m, i: (0, data["ub"][i]))
    m.rows = pyo.ConstraintList()
    senses = data["row_sense"] if isinstance(data["row_sense"], list) else [data["row_sense"]] * len(data["A"])
    for row, bound, sense in zip(data["A"], data["b"], senses, strict=True):
        body = sum(a * m.x[k] for k, a in enumerate(row))
        m.rows.add({"<=": body <= bound, ">=": body >= bound, "==": body == bound}[sense])
    objectives = []
    for k, (c, c0, sense) in enumerate(zip(data["c"], data["c0"], data["sense"], strict=True)):
        objective = pyo.Objective(expr=sum(a * m.x[i] for i, a in enumerate(c)) + c0,
                                  sense=pyo.maximize if sense == "max" else pyo.minimize)
        m.add_component(f"f{k}", objective)
        objectives.append(objective)
    return m, objectives, sorted(map(tuple, data["front"]))


@pytest.mark.parametrize("algorithm", SEARCHES)
@pytest.mark.parametrize("path", [p for p in PUBLISHED if p.stem in QUICK], ids=lambda p: p.stem)
def test_published_fronts(path, algorithm):
    model, objectives, expected = _published(path)
    if len(objectives) > 2 and algorithm != "local_upper_bounds":
        with pytest.raises(InputError, match="is for 2 to 2 objectives, not 3"):
            trace_front(model, objectives, algorithm=algorithm)
        return
    front = trace_front(model, objectives, algorithm=algorithm)
    assert front.complete
    assert sorted(tuple(p.values[o.name] for o in objectives) for p in front.points) == expected


@pytest.mark.parametrize("name", ["augmecon_4KP50", pytest.param("augmecon_3KP40", marks=pytest.mark.slow)])
def test_published_fronts_of_three_and_four_objectives(name):
    model, objectives, expected = _published(next(p for p in PUBLISHED if p.stem == name))
    front = trace_front(model, objectives)
    assert (front.complete, front.statistics.certified) == (True, True)
    assert sorted(tuple(p.values[o.name] for o in objectives) for p in front.points) == expected


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SEARCHES)
def test_published_front_of_fifty_items(algorithm):
    model, objectives, expected = _published(next(p for p in PUBLISHED if p.stem == "voptlib_2KP50_11"))
    front = trace_front(model, objectives, algorithm=algorithm)
    assert sorted(tuple(p.values[o.name] for o in objectives) for p in front.points) == expected


def _knapsack(seed, real, n=8):
    rng = random.Random(seed)

    def number():
        return rng.uniform(1e-6, 10.0) if real else rng.randint(-20, 20)

    m = pyo.ConcreteModel("knapsack")
    m.x = pyo.Var(range(n), domain=pyo.Binary)
    weights = [rng.uniform(1, 10) if real else rng.randint(1, 10) for _ in range(n)]
    m.capacity = pyo.Constraint(expr=sum(w * m.x[k] for k, w in enumerate(weights)) <= sum(weights) / 2)
    data = [[number() for _ in range(n)] for _ in range(3)]
    m.value = pyo.Objective(expr=sum(c * m.x[k] for k, c in enumerate(data[0])) + 5, sense=pyo.maximize)
    m.cost = pyo.Objective(expr=sum(c * m.x[k] for k, c in enumerate(data[1])), sense=pyo.minimize)
    m.risk = pyo.Objective(expr=sum(c * m.x[k] for k, c in enumerate(data[2])) - 3, sense=pyo.minimize)
    points = []
    for x in itertools.product((0, 1), repeat=n):
        if sum(w * v for w, v in zip(weights, x, strict=True)) <= sum(weights) / 2:
            v, c, r = (sum(a * b for a, b in zip(row, x, strict=True)) for row in data)
            points.append((-(v + 5), c, r - 3))
    return m, points


def _non_dominated(points, k):
    points = [p[:k] for p in points]
    return sorted({p for p in points if not any(all(a <= b for a, b in zip(q, p, strict=True)) and q != p for q in points)})


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(("p", "algorithm"), [*((2, name) for name in SEARCHES), (3, None)])
@pytest.mark.parametrize("seed", range(4))
def test_mixed_senses_offsets_negative_and_real_values(seed, p, algorithm, real):
    model, points = _knapsack(seed, real, n=8 if p == 2 else 6)
    objectives = [model.value, model.cost, model.risk][:p]
    front = trace_front(model, objectives, algorithm=algorithm)
    found = sorted(tuple(s * q.values[o.name] for s, o in zip((-1, 1, 1), objectives, strict=False)) for q in front.points)
    expected = _non_dominated(points, p)
    assert len(found) == len(expected)
    assert np.allclose(found, expected, rtol=0, atol=1e-9)


def test_a_point_comes_with_a_solution_that_attains_it():
    model, _ = _knapsack(0, real=True)
    front = trace_front(model, [model.value, model.cost])
    for point in front.points:
        for k in range(8):
            model.x[k].set_value(point.solution[f"x[{k}]"])
        assert pyo.value(model.value) == pytest.approx(point.values["value"])
        assert pyo.value(model.cost) == pytest.approx(point.values["cost"])
        assert pyo.value(model.capacity.body) <= pyo.value(model.capacity.upper)
    assert [p.values["value"] for p in front.points] == sorted((p.values["value"] for p in front.points), reverse=True)


def test_the_model_is_left_as_it_was():
    model, _ = _knapsack(1, real=False)
    model.x[0].set_value(1)
    model.risk.deactivate()
    before = [(c.name, c.active) for c in model.component_data_objects()], [v.value for v in model.x.values()]
    trace_front(model, [model.value, model.cost])
    with pytest.raises(InputError):
        trace_front(model, [model.value, model.cost], algorithm="none")
    assert ([(c.name, c.active) for c in model.component_data_objects()], [v.value for v in model.x.values()]) == before


def test_fixed_variables_and_constant_objectives():
    model, points = _knapsack(2, real=False)
    model.constant = pyo.Objective(expr=7.0)
    model.x[3].fix(1)
    front = trace_front(model, [model.value, model.constant])
    assert len(front.points) == 1
    assert front.points[0].values["constant"] == 7
    assert front.points[0].solution["x[3]"] == 1


def test_a_continuous_variable_may_carry_an_objective():
    """A makespan: the larger of two loads, bounded from below by rows, is a real variable that takes few values."""
    times = [3.5, 2.25, 4.0, 1.5]
    m = pyo.ConcreteModel("jobs")
    m.x = pyo.Var(range(4), domain=pyo.Binary)
    m.longest = pyo.Var(bounds=(0, 20))
    m.first = pyo.Constraint(expr=m.longest >= sum(t * m.x[k] for k, t in enumerate(times)))
    m.second = pyo.Constraint(expr=m.longest >= sum(t * (1 - m.x[k]) for k, t in enumerate(times)))
    m.makespan = pyo.Objective(expr=m.longest)
    m.rent = pyo.Objective(expr=sum((k + 1) * m.x[k] for k in range(4)))
    front = trace_front(m, [m.makespan, m.rent])
    every = []
    for x in itertools.product((0, 1), repeat=4):
        load = sum(t * v for t, v in zip(times, x, strict=True))
        every.append((max(load, sum(times) - load), sum((k + 1) * v for k, v in enumerate(x))))
    assert np.allclose([(p.values["makespan"], p.values["rent"]) for p in front.points], _non_dominated(every, 2))


def test_what_is_not_a_milp():
    m = pyo.ConcreteModel("curved")
    m.x = pyo.Var(bounds=(0, 1))
    m.square = pyo.Objective(expr=m.x**2)
    m.line = pyo.Objective(expr=m.x)
    with pytest.raises(InputError, match=r"curved: objective square is not linear"):
        trace_front(m, [m.square, m.line])


def test_infeasible_and_unbounded():
    m = pyo.ConcreteModel("none")
    m.x = pyo.Var(range(2), domain=pyo.Binary)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] >= 3)
    m.f, m.g = pyo.Objective(expr=m.x[0]), pyo.Objective(expr=m.x[1])
    with pytest.raises(InfeasibleError):
        trace_front(m, [m.f, m.g])
    m = pyo.ConcreteModel("endless")
    m.x = pyo.Var(domain=pyo.NonNegativeIntegers)
    m.f, m.g = pyo.Objective(expr=m.x, sense=pyo.maximize), pyo.Objective(expr=m.x)
    with pytest.raises(InputError, match="unbounded"):
        trace_front(m, [m.f, m.g])


class _Session:
    """HiGHS until its patience ends, then nothing but failures (or, worse, 'infeasible')."""

    def __init__(self, session, solver):
        self._session, self._solver = session, solver

    def solve(self, *arguments):
        self._solver.left -= 1
        return self._session.solve(*arguments) if self._solver.left >= 0 else Outcome(self._solver.status)


class _Relaxation(_Session):
    def forget(self):
        self._session.forget()

    def pose(self, *arguments):
        self._session.pose(*arguments)

    def solve(self, *arguments):
        self._solver.left -= 1
        return self._session.solve(*arguments) if self._solver.left >= 0 else Relaxed(self._solver.status, None, None)


class _Failing(highs.Highs):
    """A solver that fails after k solves."""

    def __init__(self, k, status):
        super().__init__()
        object.__setattr__(self, "left", k)
        object.__setattr__(self, "status", status)
        self.__class__.__setattr__ = object.__setattr__

    def open(self, *arguments):
        return _Session(super().open(*arguments), self)

    def relax(self, *arguments):
        return _Relaxation(super().relax(*arguments), self)


@pytest.mark.parametrize("algorithm", SEARCHES)
@pytest.mark.parametrize("status", [Status.FAILED, Status.TIME_LIMIT, Status.INFEASIBLE])
@pytest.mark.parametrize("real", [False, True])
def test_a_solver_that_fails_after_k_solves_never_gives_a_whole_looking_part(status, real, algorithm, monkeypatch):
    monkeypatch.setattr(Sieve, "of", lambda *asked: None)  # which needs no answer of a solver
    model, points = _knapsack(11, real, n=6)
    expected = _non_dominated(points, 2)
    assert len(expected) > 3
    cut_short = 0
    for k in (0, 2, 30) if real else (*range(4), 6, 9, 15, 30):  # with real values a search goes on without any relaxation
        if status is Status.INFEASIBLE and k == 0:
            continue  # then nothing contradicts it
        try:
            front = trace_front(model, [model.value, model.cost], solver=_Failing(k, status), algorithm=algorithm)
        except InfeasibleError:
            assert status is Status.INFEASIBLE
            continue
        found = sorted((-p.values["value"], p.values["cost"]) for p in front.points)
        if front.complete:
            assert np.allclose(found, expected)
        else:
            cut_short += 1
            assert front.reason
            assert len(found) < len(expected) + 1
    assert cut_short > 0 or real or status is not Status.TIME_LIMIT  # what fails is enumerated, if it is small


def _stopping_after(n):
    found = []

    def on_point(point):
        found.append(point)
        if len(found) == n:
            raise KeyboardInterrupt

    return on_point


def test_an_interruption_keeps_what_was_found():
    model, points = _knapsack(0, real=False)
    front = trace_front(model, [model.value, model.cost], on_point=_stopping_after(2))
    assert not front.complete
    assert front.reason == "interrupted"
    assert 1 <= len(front.points) < len(_non_dominated(points, 2))


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("p", [2, 3])
def test_an_interrupted_front_goes_on_from_its_file(tmp_path, p, real):
    model, points = _knapsack(0, real, n=8 if p == 2 else 6)
    objectives = [model.value, model.cost, model.risk][:p]
    whole = trace_front(model, objectives)
    trace_front(model, objectives, on_point=_stopping_after(3)).save(tmp_path / "part.json")
    seen = []
    resumed = trace_front(model, objectives, resume=Front.load(tmp_path / "part.json"), on_point=seen.append)
    assert resumed.complete
    assert [q.values for q in resumed.points] == [q.values for q in whole.points]
    assert len(seen) == len(whole.points) - 3
    again = trace_front(model, objectives, resume=resumed, on_point=seen.append)
    assert again.points == resumed.points


def test_what_cannot_be_resumed():
    model, _ = _knapsack(0, real=False)
    front = trace_front(model, [model.value, model.cost])
    with pytest.raises(InputError, match="has the objectives value, cost, not cost, value"):
        trace_front(model, [model.cost, model.value], resume=front)
    other, _ = _knapsack(1, real=False)
    other.capacity.deactivate()
    other.nothing = pyo.Constraint(expr=sum(other.x.values()) <= 0)
    with pytest.raises(InputError, match="is not a solution"):
        trace_front(other, [other.value, other.cost], resume=front)


def test_a_time_limit_gives_a_part_that_says_so():
    model, _ = _knapsack(0, real=True)
    front = trace_front(model, [model.value, model.cost], time_limit_s=0.0)
    assert not front.complete
    assert front.points == ()
    assert front.reason == "the time limit of 0 s is reached"


@pytest.mark.parametrize("real", [False, True])
def test_points_come_one_at_a_time_and_a_search_left_early_says_so(real):
    model, _ = _knapsack(0, real)
    whole = trace_front(model, [model.value, model.cost])
    tracing = iter_front(model, [model.value, model.cost])
    first = next(iter(tracing))
    assert first.values in [p.values for p in whole.points]
    part = tracing.front
    assert not part.complete
    assert part.reason == "stopped before the end"
    assert [p.values for p in part.points] == [first.values]
    assert len(list(tracing)) == len(whole.points) - 1
    assert tracing.front.complete
    assert tracing.front.points == whole.points
    assert trace_front(model, [model.value, model.cost], resume=part).points == whole.points


def test_an_infeasible_model_has_no_points_to_iterate_over():
    m = pyo.ConcreteModel("none")
    m.x = pyo.Var(domain=pyo.Binary)
    m.c = pyo.Constraint(expr=m.x >= 2)
    m.f, m.g = pyo.Objective(expr=m.x), pyo.Objective(expr=-m.x)
    with pytest.raises(InfeasibleError):
        list(iter_front(m, [m.f, m.g]))


def test_an_algorithm_of_ones_own_is_given_as_it_is():
    model, _ = _knapsack(0, real=False)

    def ends_only(problem):
        yield problem.refine(problem.best(0, {}))

    own = algorithms.Algorithm("ends_only", ends_only, least=2, most=2)
    assert len(trace_front(model, [model.value, model.cost], algorithm=own).points) == 1
