"""Two places of a path: DADS, Neurosurgeon and the best pair, beside all splits that leave the other places empty."""

from __future__ import annotations

import random

import pytest

from lmos_opt import InfeasibleError, InputError, Instance
from lmos_opt.rules.baselines import all_at, baseline, every
from lmos_opt.rules.pairs import best_pair, dads, neurosurgeon, split_between
from lmos_opt.split import Split, coded_splits, down_closed_sets
from tests.lmos_opt.documents import diamond_data, path_data
from tests.lmos_opt.test_places import along


def of_two(instance: Instance, pair: tuple[int, int], model: str = "sum") -> list[Split]:
    """Every split that runs layers at these two places alone, by the number of the place of each layer."""
    p, q = pair
    return [Split.at(instance, [[v for v in instance.names if (p if v in first else q) == place]
                                for place in range(1, len(instance.places) + 1)], model) for first in down_closed_sets(instance)]


def pairs_of(instance: Instance) -> list[tuple[int, int]]:
    return [(p, q) for q in range(2, len(instance.places) + 1) for p in range(1, q)]


@pytest.mark.parametrize("seed", range(24))
def test_dads_is_the_least_latency_of_any_two_places(seed):
    instance = along(seed, 2 + seed % 3, 7)
    for pair in pairs_of(instance):
        least = min(split.times.latency_s for split in of_two(instance, pair))
        found = dads(instance, pair)
        assert found.times.latency_s == pytest.approx(least, rel=1e-12)
        assert found.places in {split.places for split in of_two(instance, pair)}
        if instance.is_chain and not instance.together:
            assert neurosurgeon(instance, pair).times.latency_s == pytest.approx(least, rel=1e-12)
    last = len(instance.places)
    assert baseline(instance, "DADS").upto == baseline(instance, f"DADS:1,{last}").upto


@pytest.mark.parametrize("seed", range(12))
def test_the_best_pair_keeps_the_limits(seed):
    instance, model = along(100 + seed, 3, 4), "peak" if seed % 2 else "sum"
    whole = sum(layer.weight_bytes + layer.output_bytes for layer in instance.layers)
    instance = instance.with_place(1 + seed % 3, memory_limit_bytes=whole // 2)
    leasts = []
    for pair in pairs_of(instance):
        admitted = [split.times.latency_s for split in of_two(instance, pair, model) if split.exceeds is None]
        leasts += admitted
        if admitted:
            assert best_pair(instance, pair, model).times.latency_s == pytest.approx(min(admitted), rel=1e-12)
        else:
            with pytest.raises(InfeasibleError, match=f"memory limits, with all layers at places {pair[0]} and {pair[1]}"):
                best_pair(instance, pair, model)
    if leasts:
        assert baseline(instance, "pair", model).times.latency_s == pytest.approx(min(leasts), rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_codecs_on_the_way_to_two_places(seed):
    """An input comes encoded to a place behind the first, and is decoded wherever it is read; `pair` chooses among codecs."""
    plain, draw = along(200 + seed, 3, 4), random.Random(seed)
    ends = {name: [{"encode_s": draw.random(), "decode_s": draw.random()} for _ in range(3)] for name in plain.tensors}
    one = {name: [{"name": "half", "bytes": plain.tensor_bytes(name) // 2, "loss": 0.0, "at_places": ends[name]}] for name in ends}
    raw = {name: {"name": "raw", "bytes": plain.tensor_bytes(name), "loss": 0.0} for name in ends}
    fixed = Instance.from_dict({**plain.to_dict(), "codecs": one})
    several = Instance.from_dict({**plain.to_dict(), "codecs": {name: [raw[name], *one[name]] for name in [*ends][:3]}})
    for pair in pairs_of(plain):
        least = min(split.times.latency_s for split in of_two(fixed, pair))
        assert dads(fixed, pair).times.latency_s == pytest.approx(least, rel=1e-12)
        least = min(coded.times.latency_s for split in of_two(several, pair) for coded in coded_splits(split))
        found = baseline(several, f"pair:{pair[0]},{pair[1]}")
        assert found.times.latency_s == pytest.approx(least, rel=1e-12)


@pytest.fixture
def path() -> Instance:
    """All at the phone 3 s, at the box .75 + .004, at the cloud .375 + .008; with a at the phone 1 + .5 + .001, 1 + .25 + .002."""
    return Instance.from_dict(path_data())


def test_baselines_of_a_path_by_hand(path):
    found = {rule: [len(layers) for layers in baseline(path, rule).places] for rule in every(path) if rule != "RS:0"}
    assert found == {
        "at:1": [2, 0, 0], "at:2": [0, 2, 0], "at:3": [0, 0, 2],
        "DADS:1,2": [0, 2, 0], "DADS:1,3": [0, 0, 2], "DADS:2,3": [0, 0, 2],
        "Neurosurgeon:1,2": [0, 2, 0], "Neurosurgeon:1,3": [0, 0, 2], "Neurosurgeon:2,3": [0, 0, 2],
        "pair:1,2": [0, 2, 0],
        "pair:1,3": [0, 0, 2], "pair:2,3": [0, 0, 2], "even:layers": [1, 0, 1], "even:time": [0, 1, 1]}  # fmt: skip
    latencies = {rule: baseline(path, rule).times.latency_s for rule in ("at:1", "at:2", "at:3", "even:layers")}
    assert latencies == pytest.approx({"at:1": 3.0, "at:2": 0.754, "at:3": 0.383, "even:layers": 1.252})
    slow = path.with_hop(2, bandwidth_bytes_per_s=2000.0)
    assert [len(layers) for layers in baseline(slow, "DADS:2,3").places] == [0, 2, 0]
    assert [len(layers) for layers in baseline(slow, "pair").places] == [0, 2, 0]
    assert [len(layers) for layers in baseline(slow.with_place(2, memory_limit_bytes=5500), "pair").places] == [1, 1, 0]


def test_two_places_have_no_pairs_to_name():
    diamond = Instance.from_dict(diamond_data())
    assert every(diamond) == ("ECO", "SCO", "DADS", "pair", "even:layers", "even:time", "RS:0")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("DADS:2,1", "'DADS:2,1': expected two places of 1 to 3, the earlier one first, as in DADS:1,3"),
        ("pair:1", "expected two places"),
        ("pair:", "expected two places"),
        ("Neurosurgeon:1,4", "expected two places of 1 to 3"),
        ("at:4", "at:4: toy has 3 places; expected 1 to 3"),
        ("at:x", "'x' is not a whole number"),
        ("even:bytes", "'even:bytes': expected even:layers or even:time"),
        ("even", "expected even:layers or even:time"),
        ("cut:1", "expected 2 numbers for 3 places, as in cut:1,2"),
        ("cut:2,1", "the numbers fall"),
        ("cut:1,x", "is not whole numbers"),
    ],
)
def test_wrong_words_are_refused_by_name(path, rule, message):
    with pytest.raises(InputError, match=message):
        baseline(path, rule)


def test_what_is_neither_is_relayed(path):
    assert split_between(path, (1, 3), frozenset("a")).upto == (frozenset("a"), frozenset("a"))
    assert split_between(path, (2, 3), frozenset("a")).upto == (frozenset(), frozenset("a"))
    assert all_at(path, 2).upto == (frozenset(), frozenset("ab"))
