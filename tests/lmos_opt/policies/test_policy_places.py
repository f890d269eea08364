"""Policies along a path: a hop's bandwidth or a place's limit varies, beside fronts enumerated on both sides of each breakpoint."""

from __future__ import annotations

import random
from itertools import product

import pandas as pd
import pytest

from lmos_opt import InfeasibleError, InputError, Instance, Policy, bandwidth_policy, memory_policy
from lmos_opt.policies import policy_maps
from tests.lmos_opt.documents import path_data, placed
from tests.lmos_opt.policies.test_policy import MBPS, agrees, choice, enumerated, tied, with_bandwidth
from tests.lmos_opt.test_places import along

NEAR = 1e-9
"""How near to a breakpoint, relatively, both sides are looked at."""


def rules(instance: Instance) -> list[str]:
    points = enumerated(instance).points
    between = (points[0].values["latency"] + points[-1].values["latency"]) / 2
    return ["lmos", "min_latency", "knee", "ideal", f"budget:{between!r}", "slack:20"]


def made(make, *arguments, **options) -> Policy | None:
    try:
        return make(*arguments, **options)
    except InfeasibleError:
        return None


def right(policy: Policy | None, here: Instance, place: float, rule: str, model: str) -> bool:
    """Whether a policy says at a place what the rule chooses of the front of all splits there."""
    front, rate = enumerated(here, model), 1.0
    chosen = choice(front, rule) if front.points else None
    if policy is None:
        return chosen is None
    rate = here.hops[policy.varied.number - 1 if policy.varied.kind == "bandwidth" else 0].bandwidth_bytes_per_s
    return agrees(policy, place, rate, chosen) or (chosen is not None and tied(front, rule, rate, policy.at(place), chosen))


@pytest.mark.parametrize(("seed", "k", "most"), [(*case, 5 if case[1] == 3 else 4) for case in
                                                 [(1, 3), (2, 3), (4, 3), (7, 3), (8, 4), (11, 4)]])
def test_the_choice_is_the_rules_on_both_sides_of_each_breakpoint_of_any_hop(seed, k, most):
    instance, model = along(seed, k, most), "peak" if seed % 2 else "sum"
    low, high = 0.2 * MBPS, 1000 * MBPS
    rng = random.Random(seed)
    for hop in range(1, k):
        for rule in rules(instance):
            policy = made(bandwidth_policy, instance, rule, low, high, hop=hop, memory_model=model)
            breakpoints = policy.breakpoints if policy else ()
            places = [b * side for b in breakpoints for side in (1 - NEAR, 1 + NEAR) if low < b * side < high]
            places = [x for x in places if sum(abs(x - b) < 1.5 * NEAR * b for b in breakpoints) == 1]
            for place in (*places, low * (high / low) ** rng.random()):
                assert right(policy, with_bandwidth(instance, place, hop), place, rule, model), (hop, rule, place)


@pytest.mark.parametrize(("seed", "k", "most"), [(1, 3, 5), (2, 3, 5), (5, 3, 5), (7, 3, 4), (8, 4, 4), (11, 4, 3)])
def test_the_choice_is_the_rules_on_both_sides_of_each_limit_of_any_place(seed, k, most):
    instance, model = along(seed, k, most), "peak" if seed % 2 else "sum"
    for place in range(1, k + 1):
        for rule in rules(instance):
            policy = made(memory_policy, instance, rule, place=place, memory_model=model)
            for limit in {0, *(int(b) + d for b in (policy.breakpoints if policy else ()) for d in (-1, 0))}:
                here = instance.with_place(place, memory_limit_bytes=limit)
                assert right(policy, here, limit, rule, model), (place, rule, limit)


@pytest.mark.parametrize(("seed", "k"), [(2, 3), (7, 3), *(pytest.param(seed, 4, marks=pytest.mark.slow) for seed in (8, 11))])
def test_candidates_from_a_front_are_enough_along_a_path(seed, k, monkeypatch):
    """Of too many splits to list, those of one front give the same policy, over any hop or place."""
    instance, model = along(seed, k, 4), "peak" if seed % 2 else "sum"
    asked = [*product([bandwidth_policy], ["hop"], range(1, k)), *product([memory_policy], ["place"], range(1, k + 1))]
    for make, what, number in asked:
        for rule in ("min_latency", "knee"):
            monkeypatch.setattr(policy_maps, "MOST_SPLITS", 50_000)
            expected = made(make, instance, rule, memory_model=model, **{what: number})
            monkeypatch.setattr(policy_maps, "MOST_SPLITS", 0)
            found = made(make, instance, rule, memory_model=model, **{what: number})
            assert (found is None) == (expected is None)
            if found is not None and expected is not None:
                assert [s.memory_bytes for s in found.stretches] == [s.memory_bytes for s in expected.stretches], (what, number)
                assert found.breakpoints == pytest.approx(expected.breakpoints, rel=1e-12)


@pytest.fixture
def path() -> Instance:
    """Two layers. Over the second hop's s = 1/B: both at the second place .625 + .004, one each at the second and the third
    .375 + .004 + 1000 s, both at the third .25 + .004 + 4000 s; whatever runs at the first takes four seconds."""
    return Instance.from_dict(path_data(placed("a", "input", t=(4.0, 0.25, 0.125), weights=30, out=1000),
                                        placed("b", "a", t=(4.0, 0.375, 0.125), weights=50, out=8)))


def test_breakpoints_of_the_second_hop_by_hand(path):
    """One each meets both at the second place at 1000 s = .25, and both at the third at 3000 s = .125."""
    found = bandwidth_policy(path, "min_latency", 100.0, 1e6, hop=2)
    assert [(stretch.low, stretch.counts) for stretch in found.stretches] == [
        (100.0, (0, 2, 0)), (4000.0, (0, 1, 1)), (24000.0, (0, 0, 2))]
    assert (found.over, found.bandwidth_bytes_per_s, found.at("8kbps").counts) == ("bandwidth:2", None, (0, 2, 0))
    assert found.at(8000.0).latency_s(8000.0) == pytest.approx(0.25 + 0.125 + 0.004 + 1000 / 8000)


def test_limits_of_the_second_place_by_hand(path):
    """The second place receives 4000 B, or, after a, 1000 B; a takes 1030 B, b 58 B. What is slower with more room is left out."""
    found = memory_policy(path.with_hop(2, bandwidth_bytes_per_s=2000.0), "min_latency", place=2)
    assert [(stretch.low, stretch.counts) for stretch in found.stretches] == [
        (0, (2, 0, 0)), (1000, (1, 0, 1)), (1058, (1, 1, 0)), (4000, (0, 0, 2)), (5030, (0, 1, 1)), (5088, (0, 2, 0))]
    assert (found.over, found.memory_limit_bytes, found.bandwidth_bytes_per_s) == ("memory:2", None, 1e6)


def test_files_of_a_path(path, tmp_path):
    found = bandwidth_policy(path, "min_latency", 100.0, 1e6, hop=2)
    found.save(tmp_path / "policy.json")
    assert Policy.load(tmp_path / "policy.json") == found
    assert found.to_dict()["stretches"][1]["places"] == [[], ["a"], ["b"]]
    assert list(found.to_frame()["x3"]) == [0, 1, 2]
    found.save(tmp_path / "policy.csv")
    frame = pd.read_csv(tmp_path / "policy.csv")
    assert list(frame["places"]) == [" | a b | ", " | a | b", " |  | a b"]
    data = found.to_dict()
    data["stretches"][1]["x3"] = 7
    with pytest.raises(InputError, match=r"stretches\[1\].x3: got 7, but the place has 1"):
        Policy.from_dict(data)


def test_what_is_not_there_cannot_be_varied(path):
    with pytest.raises(InputError, match=r"hop: got 3, but toy has 2 hops; expected 1 to 2"):
        bandwidth_policy(path, "knee", hop=3)
    with pytest.raises(InputError, match=r"place: got 0, but toy has 3 places; expected 1 to 3"):
        memory_policy(path, "knee", place=0)
