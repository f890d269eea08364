"""How much of an objective is admitted: fronts beside all splits within the limit, amounts as people write them."""

from __future__ import annotations

import math
from typing import Any

import pyomo.environ as pyo
import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import InfeasibleError, InputError, Instance, Objective, pareto_front
from lmos_opt.fronts.limits import amount
from lmos_opt.objectives import get
from lmos_opt.split import all_splits

PRICE = Objective("price", unit="EUR", sense="min", expression=lambda m, inst: sum(1 - m.edge[v] for v in m.layers))


def copies(m: Any, instance: Instance) -> None:
    m.copies = pyo.Var(bounds=(0, 2), domain=pyo.Integers)


def enough_copies(m: Any, instance: Instance) -> Any:
    """With two copies at most three layers run at the edge."""
    return sum(m.edge[v] for v in m.layers) <= 1 + m.copies


def within(instance: Instance, limits: dict[str, float], most_layers: float = math.inf) -> list[tuple[float, float]]:
    """The non-dominated pairs of latency and memory of all splits within limits, by definition."""
    latency, memory = get("latency").value, get("memory").value
    assert latency
    assert memory
    values = [(latency(split), memory(split)) for split in all_splits(instance) if split.exceeds is None
              and len(split.edge) <= most_layers
              and all(get(name).value(split) <= most for name, most in limits.items())]  # fmt: skip
    return sorted({a for a in values if not any(b != a and b[0] <= a[0] and b[1] >= a[1] for b in values)})


def found(instance: Instance, limits: dict[str, float], algorithm: str | None, **own: Any) -> list[tuple[float, float]]:
    """The front's pairs; none where nothing is within the limits, which is said."""
    try:
        front = pareto_front(instance, limits=limits, algorithm=algorithm, **own)
    except InfeasibleError as error:
        named = error.constraints
    else:
        named = ()
    if named:
        assert any(f"{next(iter(limits))} at most" in name for name in named)
        return []
    return [(point.values["latency"], point.values["memory"]) for point in front]


@pytest.mark.parametrize("algorithm", [None, "enumeration"])
@pytest.mark.parametrize("seed", range(4))
def test_a_front_within_limits_is_that_of_the_splits_within_them(seed, algorithm):
    """Also where a limit is a split's own value, to the last bit."""
    instance = random_instance(seed, 8)
    whole = pareto_front(instance)
    for name in ("latency", "footprint", "tx_bytes:1"):
        for most in sorted({get(name).value(split) for split in all_splits(instance)})[1::9]:
            assert found(instance, {name: most}, algorithm) == within(instance, {name: most})
    assert [p.values for p in pareto_front(instance, limits={"latency": whole[-1].values["latency"]})] == [p.values for p in whole]


def test_an_objective_of_ones_own_is_limited_by_its_name_or_as_it_is():
    instance = random_instance(1, 6)
    n = len(instance.layers)
    for limits in ({"price": 2}, {PRICE: 2}):
        front = pareto_front(instance, ["latency", PRICE], limits=limits)
        assert {p.values["price"] for p in front} <= {0, 1, 2}
    assert max(p.values["price"] for p in pareto_front(instance, ["latency", PRICE])) <= n
    unnamed = pareto_front(instance, limits={PRICE: 0})
    assert [p.x1 for p in unnamed] == [n]


@pytest.mark.parametrize(("limits", "said"), [
    ({"price": 3}, "'price' is not an objective"), ({"latency": "soon"}, "'soon' is not a finite number of s"),
    ({"latency": math.nan}, "nan is not a finite number"), ({"latency": True}, "True is not a finite number"),
    ({3: 1.0}, "3 is no objective"), (["latency"], "expected amounts by objectives")])  # fmt: skip
def test_what_is_no_limit_is_refused(limits, said):
    with pytest.raises(InputError, match=said):
        pareto_front(random_instance(1, 4), limits=limits)


@pytest.mark.parametrize(("name", "text", "found"), [
    ("latency", "200ms", 0.2), ("memory", "1.5kB", 1500.0), ("energy", "2J", 2.0), ("energy", "2", 2.0), ("energy", "500 mJ", 0.5),
    ("fidelity_loss", "1%", 0.01), ("fidelity_loss", "0.01", 0.01)])  # fmt: skip
def test_amounts_have_the_objectives_unit(name, text, found):
    assert amount(text, get(name), "limit") == found


@pytest.mark.parametrize(("name", "text"), [("latency", "2J"), ("energy", "2s"), ("energy", "J"), ("fidelity_loss", "-1%"),
                                            ("memory", "1s"), ("energy", "nan"), ("energy", "5%")])  # fmt: skip
def test_what_is_no_amount_is_refused(name, text):
    with pytest.raises(InputError, match="limit"):
        amount(text, get(name), "limit")


@pytest.mark.parametrize("limit", ["throughput", "load", "energy@cvar50", "latency@p50"])
def test_a_limit_that_the_program_states_by_variables_of_its_own_keeps_the_exact_front(limit):
    """Whatever the magnitudes: times from 1e-7 to 1e3 s, and a limit that is a split's own value."""
    for seed in range(3):
        drawn = random_instance(seed, 6)
        layers = [{**layer.model_dump(), "t_s": [t * 10.0 ** (4 * k % 11 - 7) for t in layer.t_s]}
                  for k, layer in enumerate(drawn.layers)]
        instance = drawn.replace(layers=layers, power={"compute_w": 3.0, "transmit_w": 1.0, "idle_w": 0.5}, scenarios=[
            {"weight": 2.0, "bandwidth": [1.7]}, {"weight": 1.0, "bandwidth": [0.4], "time": [0.5, 3.0]}, {"time": [2.0, 1.0]}])
        value = get(limit).value
        values = sorted({value(split) for split in all_splits(instance)})
        for most in (values[0], values[len(values) // 2]):
            for algorithm in (None, "enumeration", "epsilon_constraint"):
                assert found(instance, {limit: most}, algorithm) == within(instance, {limit: most})
            own = {"variables": [copies], "constraints": [enough_copies]}
            assert found(instance, {limit: most}, None, **own) == within(instance, {limit: most}, most_layers=3)
