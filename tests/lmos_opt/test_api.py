"""Fronts of split instances against enumeration: nothing lost, nothing dominated, nothing twice."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pyomo.environ as pyo
import pytest

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import STYLES, random_instance, with_limit
from lmos_opt import InfeasibleError, InputError, Instance, Objective, algorithms, pareto_front
from lmos_opt.formulation import build_model
from lmos_opt.objectives import get
from lmos_opt.split import Split, down_closed_sets

BOTH = pytest.mark.parametrize("memory_model", ["sum", "peak"])


DEAR = {19, 24, 27, 74}
"""A dozen or more layers side by side: as many searches again, and with almost equal ones, in the last, half a minute."""


@BOTH
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.slow) if seed in DEAR or seed >= 60 else seed for seed in range(101)])
def test_front_equals_enumeration(seed, memory_model):
    """Chains and graphs of up to 14 layers, every style of numbers, a third with a limit; 114 cases, and 88 that are slow."""
    instance = random_instance(seed, most_layers=14)
    if seed % 3 == 0:
        instance = with_limit(instance, seed)
    constrain = ("latency", "memory")[seed % 2]
    front = pareto_front(instance, memory_model=memory_model, constrain=constrain, algorithm="epsilon_constraint")
    assert mistakes(front, instance, ["latency", "memory"], memory_model) == []


@BOTH
@pytest.mark.parametrize("style", STYLES)
def test_proper_split(style, memory_model):
    instance = random_instance(7, most_layers=9, style=style)
    front = pareto_front(instance, memory_model=memory_model, proper_split=True, algorithm="epsilon_constraint")
    assert mistakes(front, instance, ["latency", "memory"], memory_model, proper_split=True) == []
    assert all(point.x1 and point.x2 for point in front.points)


@BOTH
@pytest.mark.parametrize("seed", range(12))
def test_three_objectives(seed, memory_model):
    rng = random.Random(seed)
    power = {"compute_w": rng.uniform(2, 6), "transmit_w": rng.uniform(1, 3), "idle_w": rng.uniform(0.5, 2)}
    instance = random_instance(seed, most_layers=7).replace(power=power)
    names = ["latency", "memory", "energy"]
    front = pareto_front(instance, names, memory_model=memory_model, algorithm="local_upper_bounds")
    assert mistakes(front, instance, names, memory_model) == []


SHIPPED = ("latency", "memory", "edge_time", "tx_bytes", "throughput", "server_time")


@pytest.mark.parametrize("pair", list(itertools.combinations(SHIPPED, 2)), ids=" ".join)
def test_every_pair_of_shipped_objectives(pair):
    for seed, memory_model in ((0, "sum"), (1, "peak"), (4, "sum")):
        instance = random_instance(seed, most_layers=8)
        front = pareto_front(instance, pair, memory_model=memory_model, algorithm="epsilon_constraint")
        assert mistakes(front, instance, list(pair), memory_model) == []


@pytest.mark.parametrize("triple", list(itertools.combinations(SHIPPED, 3)), ids=" ".join)
def test_every_triple_of_shipped_objectives(triple):
    instance = random_instance(2, most_layers=7)
    front = pareto_front(instance, triple, algorithm="local_upper_bounds")
    assert mistakes(front, instance, list(triple), "sum") == []


MOST_SOLVES = {"epsilon_constraint": (2, 2), "balanced_box": (3, 0), "local_upper_bounds": (3, 2), "enumeration": (0, 0),
               "layerwise": (0, 0)}
"""How many solves an algorithm needs at most for N points: a * N + b."""


@pytest.mark.parametrize("algorithm", algorithms.names(2))
@pytest.mark.parametrize("seed", range(10))
def test_every_algorithm_equals_enumeration(seed, algorithm):
    instance = random_instance(seed, most_layers=10)
    if seed % 3 == 0:
        instance = with_limit(instance, seed)
    memory_model, constrain = ("sum", "peak")[seed % 2], ("latency", "memory")[seed % 4 // 2]
    front = pareto_front(instance, memory_model=memory_model, constrain=constrain, algorithm=algorithm)
    assert mistakes(front, instance, ["latency", "memory"], memory_model) == []
    per_point, more = MOST_SOLVES[algorithm]
    assert front.solves <= per_point * len(front.points) + more


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", algorithms.names(2))
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_every_algorithm_equals_enumeration_two_hundred_times(seed, algorithm):
    instance = random_instance(seed, most_layers=12)
    front = pareto_front(instance, memory_model=("sum", "peak")[seed % 2], algorithm=algorithm)
    assert mistakes(front, instance, ["latency", "memory"], ("sum", "peak")[seed % 2]) == []


def test_boxes_are_searched_all_along_the_front():
    """Both ends first, then in no order of either objective: a run that is cut short has points all along."""
    instance = random_instance(0, most_layers=14, shape="chain", style="realistic")
    seen = []
    front = pareto_front(instance, algorithm="balanced_box", on_point=seen.append)
    order = [front.points.index(point) for point in seen]
    assert {order[0], order[1]} == {0, len(order) - 1}
    assert order != sorted(order)
    assert order != sorted(order, reverse=True)


@BOTH
def test_a_single_objective_has_its_best_value(memory_model):
    instance = random_instance(5, most_layers=10)
    for name in ("latency", "memory"):
        front = pareto_front(instance, [name], memory_model=memory_model)
        assert len(front.points) == 1
        assert mistakes(front, instance, [name], memory_model) == []


def test_a_long_chain():
    """220 layers: the paper's largest synthetic network."""
    rng = random.Random(0)
    layers = [{"name": f"l{k}", "inputs": [f"l{k - 1}" if k else "input"], "t_edge_s": rng.uniform(1e-4, 2e-2),
               "t_server_s": rng.uniform(1e-5, 2e-3), "weight_bytes": rng.randint(0, 10**7),
               "output_bytes": rng.randint(10**4, 10**6)} for k in range(220)]  # fmt: skip
    instance = Instance.from_dict({"schema": "lmos.instance/1", "name": "chain", "input_bytes": 602112, "rtt_s": 0.0,
                                   "bandwidth_bytes_per_s": 1.25e6, "memory_limit_bytes": None, "layers": layers})
    for algorithm, splits in ((None, 221), ("epsilon_constraint", None)):
        front = pareto_front(instance, algorithm=algorithm)
        assert mistakes(front, instance, ["latency", "memory"], "sum") == []
        assert front.statistics.splits == splits


def _toy(**changes):
    layers = [{"name": f"l{k}", "inputs": [f"l{k - 1}" if k else "input"], "t_edge_s": 0.05 * (k + 1), "t_server_s": 0.02,
               "weight_bytes": 1000, "output_bytes": 500000 // (k + 1), "price": 2.0 + k} for k in range(5)]
    return Instance.from_dict({"schema": "lmos.instance/1", "name": "toy", "input_bytes": 602112, "rtt_s": 0.0,
                               "bandwidth_bytes_per_s": 1250000.0, "memory_limit_bytes": None, "layers": layers, **changes})


def test_a_users_objective_and_constraint():
    price = Objective("price", unit="EUR", sense="min", expression=lambda m, inst: sum(
        inst.layer(v).extra["price"] * (1 - m.edge[v]) for v in m.layers))
    instance = _toy()
    front = pareto_front(instance, ["latency", "memory", price], constraints=[lambda m, inst: m.edge["l0"] == 1])
    assert front.points
    for point in front.points:
        assert "l0" in point.edge_layers
        assert point.values["price"] == sum(layer.extra["price"] for layer in instance.layers
                                            if layer.name not in point.edge_layers)
    dear = Objective("dear", "EUR", "min", lambda m, inst: sum(inst.layer(v).extra["price"] * m.edge[v] for v in m.layers))
    free = pareto_front(instance, ["latency", "memory", dear])
    held = pareto_front(instance, ["latency", "memory", dear], constraints=[lambda m, inst: m.edge["l0"] == 1])
    assert any("l0" not in point.edge_layers for point in free.points)
    assert all("l0" in point.edge_layers for point in held.points)


@BOTH
@pytest.mark.parametrize("seed", range(8))
def test_users_expressions_are_exact_whatever_their_sign(seed, memory_model):
    """`sent`, `offload` and `memory` may be wanted large or small: they mean the same."""
    instance = random_instance(seed, most_layers=6, style="realistic")
    wishes = {
        "sent_large": ("max", lambda m: sum(m.sent[u] for u in m.sent), lambda s: len(instance.crossing(s.edge))),
        "offload_large": ("max", lambda m: m.offload + 0, lambda s: float(len(s.edge) < len(instance.layers))),
        "memory_small": ("min", lambda m: m.memory, lambda s: s.memory_bytes),
    }
    splits = [Split(instance, edge, memory_model) for edge in down_closed_sets(instance)]
    for name, (sense, expression, value) in wishes.items():
        wish = Objective(name, "", sense, lambda m, inst, expression=expression: expression(m))
        front = pareto_front(instance, [wish], memory_model=memory_model,
                             constraints=[lambda m, inst: m.edge[inst.names[0]] + m.offload >= 1])
        kept = [s for s in splits if instance.names[0] in s.edge or len(s.edge) < len(instance.layers)]
        best = (max if sense == "max" else min)(value(s) for s in kept)
        assert front.points[0].values[name] == pytest.approx(best)


@BOTH
@pytest.mark.parametrize("seed", range(6))
def test_the_models_own_memory_is_that_of_the_edge_set(seed, memory_model):
    """Fix an edge set in the Pyomo model: with the exact block, `memory` can take one value only."""
    instance = random_instance(seed, most_layers=6, shape="dag", style="realistic")
    for edge in list(down_closed_sets(instance))[:12]:
        for sense in (pyo.minimize, pyo.maximize):
            m = build_model(instance, memory_model=memory_model)
            for v in m.layers:
                m.edge[v].fix(int(v in edge))
            m.objective = pyo.Objective(expr=m.memory / 1e6, sense=sense)
            pyo.SolverFactory("appsi_highs").solve(m)
            assert pyo.value(m.memory) == pytest.approx(Split(instance, edge, memory_model).memory_bytes, abs=1)


def test_infeasible_names_the_constraint():
    with pytest.raises(InfeasibleError, match=r"memory limit 1000 B .*together with proper split") as caught:
        pareto_front(_toy(memory_limit_bytes=1000), proper_split=True)
    assert len(caught.value.constraints) == 2

    def private(m, inst):
        return m.edge["l4"] == 1

    with pytest.raises(InfeasibleError, match="constraint private"):
        pareto_front(_toy(memory_limit_bytes=1000, input_bytes=10**6), constraints=[private])
    with pytest.raises(InfeasibleError, match="proper split"):
        pareto_front(_toy(layers=_toy().to_dict()["layers"][:1]), proper_split=True)


def test_no_limit_is_below_the_empty_edge_set():
    front = pareto_front(_toy(memory_limit_bytes=0))
    assert [point.edge_layers for point in front.points] == [()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": ["speed"]}, "'speed' is not an objective; there are .*latency.*memory"),
        ({"objectives": []}, "at least one"),
        ({"objectives": ["latency", "latency"]}, "each once"),
        ({"constrain": "price"}, "'price' is not among"),
        ({"algorithm": "magic"}, "'magic' is not an algorithm"),
        ({"solver": "abacus"}, "'abacus' is not a solver"),
        ({"constraints": ["privacy"]}, "'privacy' is not a block"),
        ({"constraints": [lambda m, inst: m.edge["l9"] == 1]}, "l9"),
        ({"constraints": [lambda m, inst: True]}, "expected a linear relation"),
        ({"constraints": [lambda m, inst: m.edge["l0"] * m.edge["l1"] >= 1]}, "not linear"),
        ({"objectives": ["latency", "energy"]}, "no power data"),
        ({"algorithm": "epsilon_constraint", "objectives": ["memory"]}, "is for 2 to 2"),
    ],
)
def test_what_cannot_be_asked(arguments, message):
    with pytest.raises(InputError, match=message):
        pareto_front(_toy(), **arguments)


def test_constrain_decides_the_literal_ranking_only():
    instance = random_instance(3, most_layers=10, style="realistic")
    by_latency, by_memory = (pareto_front(instance, constrain=name) for name in ("latency", "memory"))
    assert by_latency.points == by_memory.points
    assert by_latency.select("lmos") == max(by_latency.points, key=lambda p: p.values["memory"])
    assert by_memory.select("lmos") == min(by_memory.points, key=lambda p: p.values["latency"])


def test_objectives_shipped_agree_with_their_expressions():
    """`value` of an edge set and the Pyomo expression at it are two writings of one formula."""
    instance = random_instance(11, most_layers=6, style="realistic").replace(
        power={"compute_w": 4.0, "transmit_w": 1.5, "idle_w": 2.0}, rtt_s=0.02)
    for name in ("latency", "memory", "energy"):
        objective = get(name)
        for edge in down_closed_sets(instance):
            m = build_model(instance)
            crossing = instance.crossing(edge)
            for v in m.layers:
                m.edge[v].set_value(int(v in edge))
            for u in m.sent:
                m.sent[u].set_value(int(u in crossing))
            m.offload.set_value(int(len(edge) < len(instance.layers)))
            if m.used.ctype is pyo.Var:
                m.used.set_value(int(bool(edge)))
            assert pyo.value(objective.expression(m, instance)) == pytest.approx(
                objective.value(Split(instance, edge)), rel=1e-12)


@BOTH
@pytest.mark.parametrize("algorithm", [None, "balanced_box"])
@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_a_front_is_completed(seed, algorithm, memory_model):
    instance = random_instance(seed, most_layers=9, style="realistic")
    whole = pareto_front(instance, memory_model=memory_model)
    part = whole.model_copy(update={"points": whole.points[1::3], "complete": False, "reason": "test"})
    seen = []
    resumed = pareto_front(instance, memory_model=memory_model, algorithm=algorithm, resume=part, on_point=seen.append)
    assert len(seen) == len(whole.points) - len(part.points)
    assert mistakes(resumed, instance, ["latency", "memory"], memory_model) == []
    assert [point.values for point in resumed.points] == [point.values for point in whole.points]


def test_a_part_of_another_instances_front_is_refused():
    part = pareto_front(_toy())
    with pytest.raises(InputError, match="breaks a constraint of toy"):
        pareto_front(_toy(memory_limit_bytes=0), resume=part)


def test_enumeration_is_as_deep_as_a_chain_is_long():
    layers = [{**_toy().to_dict()["layers"][0], "name": f"l{k}", "inputs": [f"l{k - 1}" if k else "input"]} for k in range(1500)]
    chain = _toy(layers=layers)
    assert [len(edge) for edge in down_closed_sets(chain)] == list(range(1501))


def test_enumeration_finds_every_down_closed_set_once():
    for seed in range(10):
        instance = random_instance(seed, most_layers=8)
        found = list(down_closed_sets(instance))
        assert len(set(found)) == len(found)
        subsets = (frozenset(s) for n in range(len(instance.layers) + 1) for s in itertools.combinations(instance.names, n))
        closed = {s for s in subsets if all(u in s for u, v in instance.arcs if v in s and u != "input")}
        assert set(found) == closed


def test_a_front_over_an_objective_with_a_variable_of_its_own_goes_on_under_constraints():
    """`slowest` does not follow from the edge set by name alone: a point of an earlier run is completed before it is judged."""
    def private(m, inst):
        return m.edge[inst.names[-1]] == 0

    for seed in range(4):
        instance = random_instance(seed, most_layers=7)
        names = ["throughput", "memory"]
        whole = pareto_front(instance, names, constraints=[private])
        part = whole.model_copy(update={"points": whole.points[:1], "complete": False, "reason": "test"})
        assert pareto_front(instance, names, constraints=[private], resume=part).points == whole.points


@pytest.mark.parametrize("objectives", [["latency", "memory"], ["edge_time", "memory"]])
def test_a_constraints_own_integers_are_branched_on(objectives):
    """Leased gigabytes: the relaxation would lease a fraction."""
    for seed in range(6):
        instance = random_instance(seed, most_layers=7)
        total = max(1, sum(layer.weight_bytes + layer.output_bytes for layer in instance.layers))

        def leased(m, inst, total=total):
            m.leases = pyo.Var(domain=pyo.Integers, bounds=(0, 8))
            return m.memory <= m.leases * (total / 8)

        def few(m, inst):
            return sum(m.edge.values()) + m.leases <= len(inst.layers)

        front = pareto_front(instance, objectives, constraints=[leased, few])
        allowed = [split for edge in down_closed_sets(instance)
                   for split in [Split(instance, edge)]
                   if len(edge) + math.ceil(split.memory_bytes / (total / 8) * (1 - 1e-12)) <= len(instance.layers)]
        chosen = [get(name) for name in objectives]
        costs = {tuple(o.value(split) * (1 if o.sense == "min" else -1) for o in chosen) for split in allowed}
        expected = sorted(c for c in costs if not any(d != c and all(x <= y for x, y in zip(d, c, strict=True)) for d in costs))
        found = sorted(tuple(p.values[o.name] * (1 if o.sense == "min" else -1) for o in chosen) for p in front.points)
        assert front.complete
        assert np.allclose(found, expected, rtol=1e-9)
        part = front.model_copy(update={"points": front.points[:1], "complete": False, "reason": "test"})
        again = pareto_front(instance, objectives, constraints=[leased, few], resume=part)
        assert [(p.values, p.edge_layers) for p in again.points] == [(p.values, p.edge_layers) for p in front.points]
