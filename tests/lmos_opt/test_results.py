"""What the network returns: made at the edge it stays there, made at the server it comes back. Beside arithmetic done here."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from lmos.bench.exactness import answer, drawn_case
from lmos.bench.random_instances import random_instance, with_results
from lmos_opt import NetworkProfile, bandwidth_policy, pareto_front
from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import edge_memory
from lmos_opt.graph import INPUT
from lmos_opt.instance import Instance
from lmos_opt.objectives import get, names
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.policies.lines import lines_of
from lmos_opt.rules.min_cut import min_cut
from lmos_opt.rules.pairs import neurosurgeon
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.split import Split, down_closed_sets

SEEDS = range(40)
MAP_BYTES = 12_800_000


def test_fault_06_a_map_beside_the_classes_stays_where_it_was_made() -> None:
    split = Split(_with_map(back_bytes_per_s=2.5e6), frozenset({"map"}))
    assert split.instance.crossing(split.edge) == ("map",)  # classes are made of it: it crosses, but does not come back
    assert split.times.t_tx_s == pytest.approx(MAP_BYTES / 2.5e6 + 40 / 2.5e6)
    pooled = Split(split.instance, frozenset({"map", "pool"}))
    assert pooled.times.t_tx_s == pytest.approx((256 + 40) / 2.5e6)
    nothing_here = Split(split.instance, frozenset())
    assert nothing_here.times.t_back_s == pytest.approx((MAP_BYTES + 40) / 2.5e6)
    assert nothing_here.times.t_tx_s == pytest.approx(1000 / 2.5e6 + (MAP_BYTES + 40) / 2.5e6)


def test_a_way_back_without_a_rate_is_free() -> None:
    split = Split(_with_map(back_bytes_per_s=None), frozenset())
    assert split.times.t_back_s == 0.0
    assert split.times.t_tx_s == 1000 / 2.5e6


@pytest.mark.parametrize("seed", SEEDS)
def test_latency_energy_and_memory_are_as_the_definitions_say(seed: int) -> None:
    instance = _instance(seed)
    for edge in _some_sets(instance):
        split, ours = Split(instance, edge, "peak"), _by_hand(instance, edge)
        assert split.times.latency_s == pytest.approx(float(ours["latency"]), rel=1e-12)
        assert get("energy").value(split) == pytest.approx(float(ours["energy"]), rel=1e-12)  # type: ignore[misc]
        assert edge_memory(instance, edge, "peak") == ours["peak"]
        assert edge_memory(instance, edge, "sum") == ours["sum"]


@pytest.mark.parametrize("seed", [1, 3, 7, 11, 13, 21])
def test_fronts_are_those_of_enumeration(seed: int) -> None:
    for memory_model in ("sum", "peak"):
        assert drawn_case(seed).instance.returned
        assert not answer(drawn_case(seed), memory_model, "highs").mistakes  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["latency", "energy", "throughput", "memory"])
@pytest.mark.parametrize("seed", [3, 8])
def test_the_programs_expressions_are_the_values(name: str, seed: int) -> None:
    instance = _instance(seed, most_layers=6)
    for memory_model in ("sum", "peak"):
        best = pareto_front(instance, [name, "tx_bytes"], memory_model=memory_model).points  # type: ignore[arg-type]
        for point in best:
            split = Split(instance, frozenset(point.edge_layers or ()), memory_model)  # type: ignore[arg-type]
            value = get(name).value
            assert value is not None
            assert point.values[name] == value(split)
        sense = max if get(name).sense == "max" else min
        every = [get(name).value(Split(instance, edge, memory_model)) for edge in down_closed_sets(instance)]  # type: ignore
        assert sense(point.values[name] for point in best) == pytest.approx(sense(every), rel=1e-12)
    assert name in names()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_minimum_cut_is_the_least_latency(seed: int) -> None:
    instance = _instance(seed)
    least = min(_by_hand(instance, edge)["latency"] for edge in down_closed_sets(instance))
    assert _by_hand(instance, min_cut(instance).edge)["latency"] == least


def test_neurosurgeon_sees_the_way_back() -> None:
    assert neurosurgeon(_with_map(back_bytes_per_s=2.5e6)).edge_layers == ("map", "pool")
    assert neurosurgeon(_with_map(back_bytes_per_s=None)).edge_layers == ()


@pytest.mark.parametrize("seed", range(12))
def test_a_policy_over_bandwidth_leaves_the_way_back_its_own_rate(seed: int) -> None:
    instance = _instance(seed, most_layers=8)
    policy = bandwidth_policy(instance, "min_latency", 1e5, 1e8)
    for stretch in policy.stretches:
        for bandwidth in (stretch.low * 1.001, stretch.high * 0.999):
            here = instance.replace(bandwidth_bytes_per_s=bandwidth)
            least = min(Split(here, edge).times.latency_s for edge in down_closed_sets(here))
            assert stretch.latency_s(bandwidth) == pytest.approx(least, rel=1e-9)
    for edge, line in zip(sets := _some_sets(instance), lines_of([Split(instance, edge) for edge in sets]), strict=True):
        there = _by_hand(instance, edge)["latency"]
        assert float(line.at(1 / Fraction(instance.bandwidth_bytes_per_s))) == pytest.approx(float(there), rel=1e-9)


def test_a_plan_counts_what_is_read_there_as_crossing_and_predicts_the_way_back() -> None:
    instance = _with_map(back_bytes_per_s=2.5e6)
    setting = Setting.of(instance, edge="instance file", server="instance file", rule="cut:2")
    plan = make_plan(instance, ("map", "pool"), setting=setting)
    assert [tensor.name for tensor in plan.crossing] == ["pool"]
    assert plan.predicted["t_tx_s"] == pytest.approx((256 + 40) / 2.5e6)
    assert plan.setting.back_bytes_per_s == 2.5e6
    assert Plan.from_dict(plan.to_dict(), "plan") == plan


def test_files_of_before_mean_what_they_meant(tmp_path: Any) -> None:
    instance = random_instance(5)
    text = instance.to_dict()
    assert "back_bytes_per_s" not in text
    assert not any("returned" in layer for layer in text["layers"])
    assert not instance.returned
    with_back = with_results(instance, 0).replace(back_bytes_per_s=1e6)
    with_back.save(tmp_path / "instance.json")
    assert Instance.load(tmp_path / "instance.json") == with_back


def test_bundled_profiles_say_what_is_returned_and_their_instances_carry_it() -> None:
    for name in ("alexnet", "googlenet", "vgg19.module"):
        profile = load_source(name)
        assert isinstance(profile, NetworkProfile)
        assert [layer.name for layer in profile.layers if layer.returned] == [profile.layers[-1].name]
        found = instance_of(profile, Options(back="20Mbps"))
        assert found.returned == {profile.layers[-1].name}
        assert found.back_bytes_per_s == 2.5e6


@pytest.mark.parametrize("what", ["profile", "instance"])
def test_a_rate_back_for_what_does_not_say_what_is_returned_is_refused(what: str) -> None:
    profile = load_source("alexnet")
    assert isinstance(profile, NetworkProfile)
    text = profile.to_dict()
    for layer in text["layers"]:
        del layer["returned"]
    old = NetworkProfile.from_dict(text, "old.json")
    source = old if what == "profile" else Instance.from_profile(old)
    with pytest.raises(InputError, match="does not say which layers the network returns"):
        instance_of(source, Options(back="20Mbps"))


def _instance(seed: int, most_layers: int = 8) -> Instance:
    found = with_results(random_instance(seed, most_layers), seed)
    return found.replace(power={"compute_w": 5.0, "transmit_w": 2.0, "idle_w": 1.0})


def _some_sets(instance: Instance) -> list[frozenset[str]]:
    return [edge for k, edge in enumerate(down_closed_sets(instance)) if k < 40]


def _with_map(back_bytes_per_s: float | None) -> Instance:
    sizes = {"map": MAP_BYTES, "pool": 256, "classes": 40}
    before = dict(zip(sizes, (INPUT, "map", "pool"), strict=True))
    layers = [{"name": name, "inputs": [before[name]], "t_edge_s": 0.01, "t_server_s": 0.001, "weight_bytes": 0,
               "output_bytes": n, "returned": name != "pool"} for name, n in sizes.items()]  # fmt: skip
    return Instance.from_dict({
        "schema": "lmos.instance/1", "name": "with-map", "input_bytes": 1000, "bandwidth_bytes_per_s": 2.5e6,
        "back_bytes_per_s": back_bytes_per_s, "rtt_s": 0.0, "memory_limit_bytes": None, "layers": layers,
    })  # fmt: skip


def _by_hand(instance: Instance, edge: frozenset[str]) -> dict[str, Any]:
    """Straight from the definitions, in exact arithmetic."""
    layers, zero = instance.layers, Fraction(0)
    u = {INPUT: instance.input_bytes, **{layer.name: layer.output_bytes for layer in layers}}
    here, away = [la for la in layers if la.name in edge], [la for la in layers if la.name not in edge]
    sent = {s for la in away for s in la.inputs if s == INPUT or s in edge}
    t_edge = sum((Fraction(la.t_edge_s) for la in here), zero)
    t_server = sum((Fraction(la.t_server_s) for la in away), zero)
    t_bytes = Fraction(sum(u[s] for s in sent)) / Fraction(instance.bandwidth_bytes_per_s)
    rtt = Fraction(instance.rtt_s) if away else zero
    back = instance.back_bytes_per_s
    t_back = zero if back is None else sum((Fraction(u[la.name]) for la in away if la.returned), zero) / Fraction(back)
    peak = 0
    for k, la in enumerate(layers):
        if la.name in edge:
            alive = {la.name}
            for a in (INPUT, *(other.name for other in layers[:k] if other.name in edge)):
                read = any(a in v.inputs and (j >= k or v.name not in edge) for j, v in enumerate(layers))
                if read or (a != INPUT and instance.layer(a).returned):
                    alive.add(a)
            peak = max(peak, sum(u[a] for a in alive))
    weights = sum(la.weight_bytes for la in here)
    return {
        "latency": t_edge + t_bytes + rtt + t_server + t_back,
        "energy": 5 * t_edge + 2 * t_bytes + (t_server + rtt + t_back),
        "peak": weights + peak,
        "sum": weights + sum(la.output_bytes for la in here) + (instance.input_bytes if here else 0),
    }
