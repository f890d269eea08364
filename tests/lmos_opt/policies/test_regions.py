"""What is fastest at a bandwidth, beside every split with every codec for every tensor that crosses."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise, product

import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import pareto_front
from lmos_opt.codec_sizes import Calibration, Fidelity
from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.policies import regions
from lmos_opt.policies.regions import KINDS, Crossings, Sending, fastest, stretches
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import load_source
from lmos_opt.split import down_closed_sets
from measurement import codecs
from tests.lmos_opt.documents import path_data, placed


def crossings(seed: int) -> Crossings:
    """A random graph whose tensors may cross as they are, and in up to three codecs with losses, of which some are not known."""
    draw = random.Random(seed)
    instance = random_instance(seed, 6)
    found = {}
    for name in instance.tensors:
        size = instance.tensor_bytes(name)
        ways = [Sending("raw", Fraction(0), Fraction(0), size, Fraction(0))]
        for k in range(draw.randint(0, 3)):
            loss = None if draw.random() < 0.2 else Fraction(draw.choice((0.0, 0.005, 0.01, 0.03)))
            edge_s, other_s = (Fraction(draw.uniform(0, 1e-3)) for _ in range(2))
            ways.append(Sending(f"c{k}", edge_s, other_s, draw.randint(0, size), loss))
        found[name] = tuple(ways)
    return Crossings(instance, found)


def brute_force(found: Crossings, limit: float | None, s: Fraction, slower: Fraction, rtt_s: Fraction) -> Fraction:
    """The least latency over all down-closed sets and all assignments of codecs within the limit."""
    instance, best = found.instance, []
    for edge in down_closed_sets(instance):
        crossing = () if len(edge) == len(instance.layers) else instance.crossing(edge)
        time = sum((Fraction(layer.t_s[0]) * slower if layer.name in edge else Fraction(layer.t_s[1]) for layer in instance.layers),
                   Fraction(0))  # fmt: skip
        for chosen in product(*(found.sendings[name] for name in crossing)):
            if limit is not None and any(one.loss is None for one in chosen):
                continue
            if limit is None or sum((one.loss or Fraction(0) for one in chosen), Fraction(0)) <= Fraction(limit):
                sent = sum((one.edge_s * slower + one.other_s + one.bytes * s for one in chosen), Fraction(0))
                best.append(time + sent + (rtt_s if len(edge) < len(instance.layers) else 0))
    return min(best)


@pytest.mark.parametrize("seed", range(25))
def test_the_fastest_is_brute_forces(seed: int) -> None:
    found, draw = crossings(seed), random.Random(seed)
    for limit in (0.0, 0.01, None):
        ways = found.ways(limit)
        slower, rtt = draw.choice((0.25, 1.0, 3.0)), draw.choice((0.0, 0.01))
        pieces = stretches(ways, 1e3, 1e8, slower, rtt)
        assert (pieces[0].low, pieces[-1].high) == (1000, 10**8)
        assert all(one.high == other.low for one, other in pairwise(pieces))
        for _ in range(4):
            bandwidth = Fraction(10 ** draw.uniform(3, 8))
            at = next(piece.label for piece in pieces if piece.low <= bandwidth <= piece.high)
            takes = at.at(1 / bandwidth, Fraction(slower)) + (0 if at.kind == "device" else Fraction(rtt))
            assert takes == brute_force(found, limit, 1 / bandwidth, Fraction(slower), Fraction(rtt))
        for one, other in pairwise(pieces):  # at an end both are as fast
            both = [way.at(1 / one.high, Fraction(slower)) + (0 if way.kind == "device" else Fraction(rtt))
                    for way in (one.label, other.label)]  # fmt: skip
            assert both[0] == both[1]


def test_a_limit_admits_what_a_front_with_this_limit_admits() -> None:
    """Two tensors that cross together, in codecs that lose 1 % and 2 %; decimal fractions that are not exact in binary."""
    layers = [placed("a", "input", t=(0.1, 0.1), out=10**6), placed("b", "a", t=(0.1, 0.1), out=10**6),
              placed("c", "a", t=(0.1, 0.1), out=10**6), placed("d", "b", "c", t=(100.0, 0.1))]  # fmt: skip
    for first, second, limit in ((0.01, 0.02, 0.03), (0.1, 0.2, 0.3), (0.07, 0.01, 0.08), (0.01, 0.02, 0.0299)):
        losses = {"b": first, "c": second}
        data = path_data(*layers, rates=(1e6,), inputs={"input": 10**9},
                         codecs={name: [{"name": "raw", "bytes": 10**6}, {"name": "small", "bytes": 1000, "loss": loss}]
                                 for name, loss in losses.items()})  # fmt: skip
        instance, none = Instance.from_dict(data), Fraction(0)
        ways = {name: [Sending("raw", none, none, instance.tensor_bytes(name), none)] for name in instance.tensors}
        for name, loss in losses.items():
            ways[name].append(Sending("small", none, none, 1000, Fraction(loss)))
        found = fastest(Crossings(instance, {name: tuple(some) for name, some in ways.items()}).ways(limit), Fraction(1, 10**6))
        point, = pareto_front(instance, ["latency"], limits={"fidelity_loss": limit})
        assert found.edge == frozenset(point.edge_layers or ())
        assert {found.codecs[name] for name in (point.codecs or {})} == {*(point.codecs or {}).values()}
        assert (found.edge == {"a", "b", "c"} and {*found.codecs.values()} == {"small"}) == (limit >= 0.03)


def test_of_equals_the_device_alone_comes_first() -> None:
    layers = [{"name": "a", "inputs": ["input"], "t_edge_s": 0.0, "t_server_s": 0.0, "weight_bytes": 0, "output_bytes": 0}]
    instance = Instance.from_dict({"schema": "lmos.instance/1", "name": "even", "input_bytes": 0, "bandwidth_bytes_per_s": 1.0,
                                   "rtt_s": 0.0, "memory_limit_bytes": None, "layers": layers})  # fmt: skip
    none = Fraction(0)
    ways = Crossings(instance, {name: (Sending("raw", none, none, 0, none),) for name in instance.tensors}).ways(0.0)
    assert [way.kind for way in ways] == ["device", "input"]
    assert fastest(ways, Fraction(1)).kind == "device"


def test_a_profile_counts_with_upper_ends_and_codecs_that_change_no_bit_lose_nothing() -> None:
    profile = load_source("alexnet")
    assert isinstance(profile, NetworkProfile)
    about = Calibration(criterion="classes", of="x", part="all", inputs=10, seed=0, confidence=0.95)
    fidelity = Fidelity(calibration=about, losses={"int8": {"input": 0.0}}, upper={"int8": {"input": 0.26}})
    known = Crossings.of(profile.model_copy(update={"fidelity": fidelity}), "rpi4", "i7-8700",
                         [codecs.get("int8"), codecs.get("fp16")])  # fmt: skip
    assert [(one.codec, one.loss) for one in known.sendings["input"]] == [("raw", 0), ("int8", Fraction(0.26)), ("fp16", None)]
    assert {codec for way in known.ways(0.2) for codec in way.codecs.values()} == {"raw"}
    assert any(way.kind == "input" and way.codecs == {"input": "int8"} for way in known.ways(0.3))


def test_a_network_with_too_many_cuts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "MOST_SETS", 1)
    with pytest.raises(InputError, match="can be cut in more than 1 ways"):
        crossings(0).ways(None)
    assert KINDS == ("device", "input", "cut")
