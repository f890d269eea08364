"""Decisions of a user's own beside brute force: half clock or full, and one of several networks, as the how-to page writes them.

Resolutions and an early exit are networks to choose from, too. What the page calls `alternatives.py` is run as it stands there.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyomo.environ as pyo
import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import Front, InputError, Instance, Objective, objectives, pareto_front
from lmos_opt.formulation import build_model
from lmos_opt.split import Split, down_closed_sets
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer, path_data

PAGE = Path(__file__).parents[2] / "docs" / "how-to-add-a-decision.md"


def on_the_page(name: str) -> SimpleNamespace:
    """What the page's file of that name defines."""
    found: dict[str, object] = {}
    exec(re.search(rf"^```python {name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1], found)
    return SimpleNamespace(**found)


def best(every):
    """Those of the cost vectors that nothing dominates, each once, sorted; values that differ by rounding alone are one."""
    rounded = sorted({tuple(float(f"{value:.9g}") for value in one) for one in every})
    return [v for v in rounded if not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in rounded)]


def found_by(front: Front):
    return sorted(tuple(float(f"{value:.9g}") for value in cost) for cost in front.costs())


# half clock or full


def clock(m, inst):
    return {"half": pyo.Var(domain=pyo.Binary), "slow": pyo.Var(m.layers, domain=pyo.Binary)}


def slow_where_both(m, inst):
    return [relation for v in m.layers
            for relation in (m.slow[v] <= m.half, m.slow[v] <= m.edge[v], m.slow[v] >= m.half + m.edge[v] - 1)]


SECONDS = Objective("seconds", "s", "min", lambda m, inst: m.latency + sum(inst.layer(v).t_edge_s * m.slow[v] for v in m.layers))
JOULES = Objective("joules", "J", "min", lambda m, inst: sum(
    inst.layer(v).t_edge_s * (4 * m.edge[v] - 2.5 * m.slow[v]) for v in m.layers))


def at_clock(instance, edge, half, memory_model="sum"):
    split = Split(instance, edge, memory_model)
    busy = sum(instance.layer(v).t_edge_s for v in edge)
    return split.times.latency_s + busy * half, -float(split.memory_bytes), busy * (4 - 2.5 * half)


def check_clocks(instance, memory_model="sum", least=0):
    """The front under the constraint that so many layers are at the edge."""
    front = pareto_front(instance, [SECONDS, "memory", JOULES], variables=[clock], memory_model=memory_model,
                         constraints=[slow_where_both, lambda m, inst: sum(m.edge[v] for v in m.layers) >= least])  # fmt: skip
    every = [at_clock(instance, edge, half, memory_model) for edge in down_closed_sets(instance) for half in (0, 1)
             if len(edge) >= least]  # fmt: skip
    assert front.complete
    assert found_by(front) == best(every)
    for point in front:
        values = at_clock(instance, frozenset(point.edge_layers), point.solution["half"], memory_model)
        assert values == pytest.approx((point.values["seconds"], -point.values["memory"], point.values["joules"]))
        slow = point.edge_layers if point.solution["half"] else ()
        assert [v for v in instance.names if point.solution[f"slow[{v}]"]] == list(slow)
    return front


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
@pytest.mark.parametrize("data", [chain_data(), diamond_data()])
def test_half_clock_or_full(data, memory_model):
    check_clocks(Instance.from_dict(data), memory_model)


def test_half_clock_of_a_graph_of_twelve_layers_is_in_points_and_files(tmp_path):
    layers = [layer("l0", "input", edge=0.31, server=0.02, weights=900, out=90_000)]
    rng = random.Random(3)
    for k in range(1, 12):
        reads = {f"l{k - 1}"} if k % 4 else {f"l{k - 3}", f"l{k - 2}"}
        layers.append(layer(f"l{k}", *sorted(reads), edge=rng.uniform(0.01, 0.4), server=rng.uniform(0.001, 0.04),
                            weights=rng.randrange(10**5), out=rng.randrange(10**5)))  # fmt: skip
    front = check_clocks(Instance.from_dict(instance_data(*layers)), least=9)
    assert {point.solution["half"] for point in front} == {0, 1}
    front.save(tmp_path / "front.json")
    assert Front.load(tmp_path / "front.json") == front
    assert json.loads((tmp_path / "front.json").read_text())["points"][0]["solution"].keys() == front[0].solution.keys()
    front.save(tmp_path / "front.csv")
    assert "half=" in pd.read_csv(tmp_path / "front.csv")["solution"][0]


# one of several networks


def one_of_them(instances, loss):
    page = on_the_page("alternatives.py")
    both = page.together(instances)
    variables, constraints = page.one_of([*instances])
    wanted = [page.seconds([*instances]), page.bytes_at_the_edge([*instances]), page.loss(loss)]
    front = pareto_front(both, wanted, variables=[variables], constraints=[constraints])
    every = []
    for net, instance in instances.items():
        for edge in down_closed_sets(instance):
            split = Split(instance, edge)
            every.append((split.times.latency_s, float(split.memory_bytes), loss[net]))
    assert front.complete
    assert found_by(front) == best(every)
    for point in front:
        net = next(net for net in instances if point.solution[f"use[{net}]"])
        here = frozenset(name.removeprefix(f"{net}/") for name in point.edge_layers if name.startswith(f"{net}/"))
        split = Split(instances[net], here)
        assert point.values == pytest.approx({"seconds": split.times.latency_s, "bytes": split.memory_bytes, "loss": loss[net]})
    return front


def like(seed, shape, bandwidth=1e6, rtt_s=0.01):
    return random_instance(seed, 5, shape, "realistic").replace(bandwidth_bytes_per_s=bandwidth, rtt_s=rtt_s)


@pytest.mark.parametrize("seed", range(3))
def test_which_of_two_networks(seed):
    one_of_them({"a": like(seed, "chain"), "b": like(seed + 10, "dag")}, {"a": 0.3, "b": 0.2})


def test_which_of_three_resolutions():
    full = Instance.from_dict(chain_data())

    def at(area):
        layers = [{**one.model_dump(), "t_s": [area * t for t in one.t_s], "output_bytes": round(area * one.output_bytes)}
                  for one in full.layers]
        return full.replace(inputs={"input": round(area * 4000)}, layers=layers)

    front = one_of_them({"r224": full, "r160": at(0.51), "r112": at(0.25)}, {"r224": 0.43, "r160": 0.49, "r112": 0.57})
    assert {name for point in front for name, used in point.solution.items() if used} == {"use[r224]", "use[r160]", "use[r112]"}


def test_an_early_exit_taken_or_not():
    network = Instance.from_dict(instance_data(
        layer("stem", "input", edge=0.3, out=9000), layer("body", "stem", edge=0.2, out=500),
        layer("exit", "body", edge=0.01, server=0.001, out=10),
        layer("rest", "body", edge=0.5, server=0.1, weights=70_000, out=10)))

    def without(name):
        return network.replace(layers=[one for one in network.layers if one.name != name])

    front = one_of_them({"early": without("rest"), "whole": without("exit")}, {"early": 0.4, "whole": 0.25})
    assert len({point.values["loss"] for point in front}) == 2


# shipped expressions on the model


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
@pytest.mark.parametrize("name", [name for name in objectives.names() if name not in {"memory", "energy", "load", "fidelity_loss",
                                                                                            *objectives.OF_TOKENS}])
def test_a_shipped_expression_stands_on_the_model_by_its_name(name, memory_model):
    instance = Instance.from_dict(diamond_data())
    sense = objectives.get(name).sense
    own = Objective("own", "", sense, lambda m, inst: getattr(m, name))
    other = "memory" if name != "footprint" else "latency"
    mine = pareto_front(instance, [own, other], memory_model=memory_model)
    shipped = pareto_front(instance, [name, other], memory_model=memory_model)
    assert found_by(mine) == found_by(shipped)
    assert all(point.solution is None for point in mine)


def test_memory_used_is_the_memory_under_either_model():
    least = Objective("least", "B", "min", lambda m, inst: m.memory_used)
    for model, data in itertools.product(("sum", "peak"), (chain_data(), diamond_data())):
        instance = Instance.from_dict(data)
        splits = [Split(instance, edge, model) for edge in down_closed_sets(instance)]
        every = [(split.times.latency_s, float(split.memory_bytes)) for split in splits]
        for objective in (least, "footprint"):
            assert found_by(pareto_front(instance, ["latency", objective], memory_model=model)) == best(every)


def test_a_named_expression_may_stand_in_a_constraint_beside_the_objective_of_its_name():
    instance = Instance.from_dict(chain_data())
    for name, most in (("throughput", 0.6), ("latency", 1.5)):
        held = lambda m, inst, name=name, most=most: getattr(m, name) <= most  # noqa: E731
        front = pareto_front(instance, [name, "memory"], constraints=[held])
        whole = pareto_front(instance, [name, "memory"])
        assert found_by(front) == [cost for cost in found_by(whole) if cost[0] <= most]
        assert 0 < len(front) < len(whole)


def test_expressions_are_functions_in_their_modules():
    instance = Instance.from_dict(chain_data())
    m = build_model(instance)
    for name in objectives.names():
        assert getattr(objectives, name).expression is objectives.get(name).expression
    assert objectives.memory.expression(m, instance) is m.memory_used
    assert m.latency is m.latency
    assert m.clone().latency is not m.latency
    with pytest.raises(AttributeError, match="has no attribute 'speed'"):
        objectives.speed  # noqa: B018
    with pytest.raises(AttributeError, match="speed"):
        m.speed  # noqa: B018
    with pytest.raises(InputError, match="no power data"):
        m.energy  # noqa: B018


def test_a_users_component_may_take_the_name_of_an_expression():
    def variables(m, inst):
        return {"energy": pyo.Var(domain=pyo.Binary)}

    front = pareto_front(Instance.from_dict(chain_data()), ["latency", Objective("used", "", "max", lambda m, inst: m.energy)],
                         variables=[variables])  # fmt: skip
    assert [point.solution for point in front] == [{"energy": 1}]
    with pytest.raises(InputError, match="gives the name 'edge', which is there already"):
        pareto_front(Instance.from_dict(chain_data()), variables=[lambda m, inst: {"edge": pyo.Var()}])


@pytest.mark.parametrize("name", ["throughput", "load", "footprint:2", "latency@p95", "latency@cvar50"])
def test_a_shipped_expression_may_be_there_twice(name):
    scenarios = [{"weight": 1, "bandwidth": rates} for rates in ([1, 1], [0.5, 2], [2, 0.5])]
    instance = Instance.from_dict(path_data(scenarios=scenarios))
    own = Objective("own", "", "min", lambda m, inst: objectives.get(name).expression(m, inst) - m.more)
    front = pareto_front(instance, [own, name], limits={name: 1e9}, memory_model="peak",
                         variables=[lambda m, inst: {"more": pyo.Var(domain=pyo.Binary)}])  # fmt: skip
    assert [point.solution["more"] for point in front] == [1]
    assert front.points[0].values["own"] == front.points[0].values[name] - 1


@pytest.mark.parametrize("domain", [pyo.Reals, pyo.Integers])
@pytest.mark.parametrize("name", ["throughput", "load"])
def test_the_largest_of_several_may_be_wanted_large(name, domain):
    """Rows hold it from below alone: what the program lets it be is not its value."""
    for seed in range(6):
        instance = random_instance(seed, most_layers=5)
        value = objectives.get(name).value
        largest = max(value(Split(instance, edge)) for edge in down_closed_sets(instance))
        own = Objective("own", "s", "max", lambda m, inst: objectives.get(name).expression(m, inst) + m.more)
        front = pareto_front(instance, [own], variables=[lambda m, inst: {"more": pyo.Var(domain=domain, bounds=(0, 5))}])
        if front.complete:
            assert front.points[0].values["own"] == pytest.approx(largest + 5, rel=1e-9), seed
        assert front.complete or (name, domain) == ("load", pyo.Reals), seed
