"""Codecs in the formulation: what crosses costs its own bytes and its own time, and fronts stay exact."""

from __future__ import annotations

import random
from fractions import Fraction
from math import fsum

import pytest

from lmos.bench.random_instances import random_instance, with_places
from lmos_opt import InputError, Instance, bandwidth_policy, memory_policy, pareto_front
from lmos_opt.device import Device
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.graph import INPUT
from lmos_opt.objectives import get
from lmos_opt.plan import Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import baseline
from lmos_opt.rules.min_cut import min_cut
from lmos_opt.sources import load_source
from lmos_opt.split import Split, down_closed_sets
from measurement import codecs
from measurement.codec_choice import chosen
from tests.lmos_opt.documents import chain_data, diamond_data


def coded(instance: Instance, seed: int) -> Instance:
    """With a coding of every kind of number: shorter, longer, free of charge, dear, some tensors left out."""
    rng = random.Random(seed)
    sent = {}
    for name in (INPUT, *instance.names):
        if rng.random() < 0.2:
            continue
        n_bytes = int(instance.tensor_bytes(name) * rng.choice([0.25, 0.5, 0.9, 1.01]))
        sent[name] = {"bytes": n_bytes, "encode_s": rng.choice([0.0, 1e-6, 0.01, 0.1]) * rng.random(),
                      "decode_s": rng.choice([0.0, 1e-6, 0.02]) * rng.random()}  # fmt: skip
    return instance.replace(coding={"codec": "int8", "sent": sent})


def exact(instance: Instance, edge: frozenset[str]) -> Fraction:
    """The latency in exact arithmetic, written down anew."""
    total = sum(Fraction(v.t_edge_s if v.name in edge else v.t_server_s) for v in instance.layers)
    total += Fraction(instance.rtt_s) if len(edge) < len(instance.layers) else 0
    sent = instance.coding.sent if instance.coding else {}
    for u in instance.crossing(edge):
        n_bytes = sent[u].bytes if u in sent else instance.tensor_bytes(u)
        total += Fraction(n_bytes) / Fraction(instance.bandwidth_bytes_per_s)
        total += Fraction(sent[u].encode_s) + Fraction(sent[u].decode_s) if u in sent else 0
    return total


@pytest.mark.parametrize("objectives", [("latency", "memory"), ("latency", "tx_bytes"), ("edge_time", "server_time"),
                                        ("throughput", "tx_bytes")], ids=",".join)  # fmt: skip
@pytest.mark.parametrize("shape", ["chain", "dag", "wide"])
@pytest.mark.parametrize("seed", range(3))
def test_fronts_equal_enumeration(seed, shape, objectives):
    instance = coded(random_instance(6000 + seed, 8, shape), seed)
    truth = enumerate_front(instance, [get(name) for name in objectives])
    found = pareto_front(instance, list(objectives))
    assert found.complete
    assert len(found.points) == len(truth)
    for point, (values, _) in zip(found.points, truth, strict=True):
        assert tuple(point.values.values()) == pytest.approx(values, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_every_way_to_the_least_latency_agrees(seed):
    """The stages, the front, the minimum cut and the policies against exact arithmetic."""
    instance = coded(random_instance(6100 + seed, 8), seed)
    latencies = {edge: exact(instance, edge) for edge in down_closed_sets(instance)}
    for edge, latency in latencies.items():
        assert Split(instance, edge).times.latency_s == pytest.approx(float(latency), rel=1e-12, abs=1e-15)
    least = min(latencies.values())
    assert latencies[min_cut(instance).edge] == least
    assert pareto_front(instance).select("min_latency").values["latency"] == pytest.approx(float(least), rel=1e-9)
    bandwidth = instance.bandwidth_bytes_per_s
    for policy in (bandwidth_policy(instance, "min_latency", bandwidth / 3, bandwidth * 3).at(bandwidth),
                   memory_policy(instance, "min_latency").stretches[-1]):  # fmt: skip
        assert policy.latency_s(bandwidth) == pytest.approx(float(least), rel=1e-9)
    if instance.is_chain:
        assert latencies[baseline(instance, "Neurosurgeon").edge] == pytest.approx(float(least), rel=1e-12)


def test_stages_by_hand():
    coding = {"codec": "int8", "sent": {"a": {"bytes": 1000, "encode_s": 0.25, "decode_s": 0.125}}}
    plain = Instance.from_dict(chain_data())
    instance = plain.replace(coding=coding, power={"compute_w": 2.0, "transmit_w": 3.0, "idle_w": 1.0})
    one, other = Split(instance, frozenset("a")), Split(plain, frozenset("a"))
    assert one.times.crossing_bytes == 1000
    assert one.times.t_edge_s == other.times.t_edge_s + 0.25
    assert one.times.t_server_s == other.times.t_server_s + 0.125
    assert one.times.t_tx_s == 1000 / instance.bandwidth_bytes_per_s
    assert one.times.latency_s == fsum([one.times.t_edge_s, one.times.t_tx_s, one.times.t_server_s])
    assert get("energy").value(one) == pytest.approx(2 * one.times.t_edge_s + 3 * one.times.t_tx_s + one.times.t_server_s)
    for edge in ("", "ab"):  # the coding says nothing of what crosses there
        assert Split(instance, frozenset(edge)).times == Split(plain, frozenset(edge)).times
    for model in ("sum", "peak"):  # tensors lie in memory as they are
        assert Split(instance, frozenset("a"), model).memory_bytes == Split(plain, frozenset("a"), model).memory_bytes


def test_energy_under_a_coding_equals_enumeration():
    instance = coded(random_instance(6200, 9, "dag"), 1).replace(power={"compute_w": 2.0, "transmit_w": 3.0, "idle_w": 1.0})
    truth = enumerate_front(instance, [get("energy"), get("memory")])
    assert [tuple(p.values.values()) for p in pareto_front(instance, ["energy", "memory"]).points] == [
        pytest.approx(values, rel=1e-9) for values, _ in truth]


def test_files_without_a_coding_are_what_they_were(tmp_path):
    plain = Instance.from_dict(diamond_data())
    assert "coding" not in plain.to_dict()
    assert plain.sent_bytes("a") == plain.tensor_bytes("a")
    instance = coded(plain, 3)
    instance.save(tmp_path / "i.json")
    assert Instance.load(tmp_path / "i.json") == instance
    with pytest.raises(InputError, match=r"coding\.sent\.z: names no layer"):
        plain.replace(coding={"codec": "int8", "sent": {"z": {"bytes": 1}}})
    with pytest.raises(InputError, match="codec"):
        plain.replace(coding={"codec": "Int 8", "sent": {}})


def coded_along(seed: int, k: int) -> Instance:
    """Along k places, each with its own costs of coding."""
    rng, instance = random.Random(seed), with_places(random_instance(6300 + seed, 5, "dag"), seed, k)
    sent = {name: {"bytes": instance.tensor_bytes(name) // 2, "at_places": [
        {"encode_s": rng.choice([0.0, 0.01, 0.1]) * rng.random(), "decode_s": rng.choice([0.0, 0.02]) * rng.random()}
        for _ in range(k)]} for name in instance.tensors if rng.random() < 0.8}  # fmt: skip
    return instance.replace(coding={"codec": "int8", "sent": sent})


@pytest.mark.parametrize("objectives", [("latency", "memory"), ("throughput", "tx_bytes:2"), ("place_time:2", "latency")],
                         ids=",".join)  # fmt: skip
@pytest.mark.parametrize(("seed", "k"), [(0, 3), (1, 3), (2, 4)])
def test_fronts_along_places_equal_enumeration(seed, k, objectives):
    instance = coded_along(seed, k)
    truth = enumerate_front(instance, [get(name) for name in objectives])
    found = pareto_front(instance, list(objectives))
    assert found.complete
    assert [tuple(point.values.values()) for point in found.points] == [
        pytest.approx(values, rel=1e-9, abs=1e-12) for values, _ in truth]
    if "latency" in objectives:
        least = min(point.values["latency"] for point in found.points)
        bandwidth = instance.hops[1].bandwidth_bytes_per_s
        policy = bandwidth_policy(instance, "min_latency", bandwidth / 3, bandwidth * 3, hop=2)
        assert policy.at(bandwidth).latency_s(bandwidth) == pytest.approx(least, rel=1e-9)


def test_places_encode_what_they_make_and_decode_what_they_read():
    """Of input -> a -> b -> c where c reads a too: a is made at place 1, relayed by 2 where b reads it, and read at 3."""
    layers = [{"name": name, "inputs": inputs, "t_s": [1.0, 1.0, 1.0], "weight_bytes": 0, "output_bytes": 1000}
              for name, inputs in (("a", ["input"]), ("b", ["a"]), ("c", ["a", "b"]), ("d", ["c"]))]  # fmt: skip
    ends = [{"encode_s": 0.01, "decode_s": 0.1}, {"encode_s": 0.02, "decode_s": 0.2}, {"encode_s": 0.04, "decode_s": 0.4}]
    sent = {name: {"bytes": 100, "at_places": ends} for name in ("a", "b")}
    instance = Instance.from_dict({
        "schema": "lmos.instance/2", "name": "relay", "inputs": {"input": 10}, "layers": layers,
        "places": [{"name": name, "memory_limit_bytes": None} for name in ("p", "q", "r")],
        "hops": [{"bandwidth_bytes_per_s": 1000.0, "rtt_s": 0.0}] * 2, "coding": {"codec": "fp16", "sent": sent},
    })  # fmt: skip
    a, ab = frozenset("a"), frozenset("ab")
    times = Split.at(instance, [a, "b", "cd"]).times
    assert times.t_place_s == pytest.approx((1.01, 1.0 + 0.2 + 0.02, 2.0 + 0.4 + 0.4))
    assert [hop.n_bytes for hop in times.hops] == [100, 200]
    assert Split.at(instance, [a, "", "bcd"]).times.t_place_s == pytest.approx((1.01, 0.0, 3.0 + 0.4))  # passed on as it came
    assert Split.at(instance, [ab, "", "cd"]).times.t_place_s == pytest.approx((2.02, 0.0, 2.0 + 0.8))
    assert Instance.from_dict(instance.to_dict()) == instance


def profile() -> NetworkProfile:
    found = load_source("squeezenet1_1")
    assert isinstance(found, NetworkProfile)
    return found


@pytest.mark.parametrize(("codec", "least", "most"), [("fp16", 0.5, 0.5), ("int8", 0.25, 0.27)])
def test_sizes_follow_from_shapes(codec, least, most):
    network = profile()
    instance = Instance.from_profile(network, codec=codecs.get(codec))
    for name in (INPUT, *instance.names):
        assert least <= instance.sent_bytes(name) / instance.tensor_bytes(name) <= most
        assert instance.encode_s(name) == instance.decode_s(name) == 0  # nobody has measured it on a Raspberry Pi
    assert Instance.from_profile(network, codec=codecs.get("raw")) == Instance.from_profile(network)


def test_what_depends_on_the_numbers_must_have_been_measured():
    network = profile()
    with pytest.raises(InputError, match=r"no measured sizes.*under the codec zstd; make .* lmos profile NETWORK --codec zstd"):
        Instance.from_profile(network, codec=codecs.get("zstd"))
    first = network.layers[0].name
    sent = {INPUT: {"bytes": 5000, "encode_s": 0.5, "decode_s": 0.25}}
    measured = NetworkProfile.from_dict({**network.to_dict(), "codecs": {"jpeg:75": {"sent": sent, "about": {"pictures": 3}}}})
    assert NetworkProfile.from_dict(measured.to_dict()) == measured
    assert "codecs" not in network.to_dict()
    instance = Instance.from_profile(measured, codec=codecs.get("jpeg:75"))
    assert (instance.sent_bytes(INPUT), instance.encode_s(INPUT)) == (5000, 0.0)
    assert instance.sent_bytes(first) == instance.tensor_bytes(first)
    with pytest.raises(InputError, match=r"codecs\.int8\.sent\.z: names no layer"):
        NetworkProfile.from_dict({**network.to_dict(), "codecs": {"int8": {"sent": {"z": {"bytes": 1}}, "about": {}}}})


def test_times_come_from_the_device_or_from_this_machine_and_bytes_from_a_measurement_if_there_is_one():
    layers = [{**layer, "t_local_s": 0.01} for layer in profile().to_dict()["layers"]]
    name = layers[0]["name"]
    sent = {name: {"bytes": 5000, "encode_s": 0.5, "decode_s": 0.25}}
    network = NetworkProfile.from_dict({**profile().to_dict(), "layers": layers,
                                        "codecs": {"int8": {"sent": sent, "about": {}}}})  # fmt: skip
    raw, small = network.layers[0].output_bytes, codecs.get("int8").sent_bytes(network.layers[0].outputs[0])
    times = {"encode_s_per_byte": 1e-9, "decode_s_per_byte": 2e-9}
    device = Device.from_dict({"schema": "lmos.device/1", "name": "board", "description": "", "cores": 1, "hz": 1e9,
                               "ops_per_cycle": 1.0, "memory_bytes": None, "codecs": {"int8": times},
                               "sources": [{"what": "codecs", "source": "this test"}]})  # fmt: skip
    for edge, server, expected in (("local", "local", (0.5, 0.25)), (device, "local", (raw * 1e-9, 0.25)),
                                   ("local", device, (0.5, raw * 2e-9)), ("rpi4", "local", (0.0, 0.25))):  # fmt: skip
        instance = Instance.from_profile(network, edge=edge, server=server, codec=codecs.get("int8"))
        assert (instance.encode_s(name), instance.decode_s(name)) == pytest.approx(expected)
        assert instance.sent_bytes(name) == 5000 != small
        assert instance.sent_bytes(network.layers[1].name) == codecs.get("int8").sent_bytes(network.layers[1].outputs[0])
    with pytest.raises(InputError, match="no measured times under the codec fp16"):
        Instance.from_profile(network, edge="local", codec=codecs.get("fp16"))


def test_a_plan_names_its_codec_and_the_bytes_on_the_way():
    network = profile()
    instance = Instance.from_profile(network, codec=codecs.get("int8"))
    setting = Setting(edge="rpi4", server="paper-server", bandwidth_bytes_per_s=1.25e6, rtt_s=0.0, memory_limit_bytes=None,
                      memory_model="sum", rule="cut:9")  # fmt: skip
    plan = make_plan(instance, instance.names[:9], setting=setting, profile=network)
    assert plan.codec == "int8"
    crossing = instance.crossing(frozenset(plan.edge_layers))
    assert [t.wire_bytes for t in plan.crossing] == [instance.sent_bytes(name) for name in crossing]
    assert all(t.wire_bytes < 0.27 * t.bytes for t in plan.crossing)
    assert plan.predicted["t_tx_s"] == sum(t.wire_bytes for t in plan.crossing) / 1.25e6
    assert type(plan).from_dict(plan.to_dict()) == plan
    raw = make_plan(Instance.from_profile(network), instance.names[:9], setting=setting, profile=network)
    assert raw.codec == "raw"
    assert all("wire_bytes" not in tensor for tensor in raw.to_dict()["crossing"])


def test_a_tensor_may_have_a_codec_of_its_own():
    network = load_source("squeezenet1_1")
    assert isinstance(network, NetworkProfile)
    first, second = network.layers[0].name, network.layers[1].name
    instance = Instance.from_profile(network, codec=chosen(["int8", f"{first}=fp16", f"{second}=raw"]))
    whole = Instance.from_profile(network)
    int8, fp16 = (Instance.from_profile(network, codec=codecs.get(name)) for name in ("int8", "fp16"))
    assert [instance.sent_bytes(name) for name in (INPUT, first, second)] == [
        int8.sent_bytes(INPUT), fp16.sent_bytes(first), whole.sent_bytes(second)]  # fmt: skip
    assert Instance.from_dict(instance.to_dict()) == instance
    setting = Setting.of(instance, edge="a", server="b", rule="cut:1")
    plan = make_plan(instance, [first], setting=setting, profile=network)
    assert (plan.codec, plan.codecs) == ("int8", {first: "fp16", second: "raw"})
    assert [tensor.wire_bytes for tensor in plan.crossing] == [instance.sent_bytes(first)]
    assert plan.codec_words == f"int8, {first} in fp16, {second} in raw"
    assert type(plan).from_dict(plan.to_dict()) == plan
    alone = Instance.from_profile(network, codec=chosen([f"{first}=fp16"]))
    assert (alone.sent_bytes(INPUT), alone.sent_bytes(first)) == (whole.sent_bytes(INPUT), fp16.sent_bytes(first))


def test_one_codec_for_each_of_all_tensors_is_that_codec_for_all():
    network = load_source("squeezenet1_1")
    assert isinstance(network, NetworkProfile)
    layers = [f"{layer.name}=int8" for layer in network.layers]
    one, each = (Instance.from_profile(network, codec=chosen(texts)) for texts in (["int8"], [*layers, f"{INPUT}=int8"]))
    assert one.coding is not None
    assert each.coding is not None
    assert one.coding.sent == each.coding.sent
    assert pareto_front(one).points == pareto_front(each).points
    same = Instance.from_profile(network, codec=chosen(["int8", f"{INPUT}=int8"]))
    assert same == one


@pytest.mark.parametrize(("texts", "reason"), [
    (["int8", "fp16"], r"--codec: int8 and fp16 cannot both be for all; expected LAYER=NAME for others"),
    (["a=int8", "a=fp16"], r"--codec: a gets int8 and fp16; expected one codec for each layer"),
    (["=int8"], r"--codec: '=int8' names no layer; expected LAYER=NAME, such as input=jpeg:75"),
    (["a=int9"], r"codec: 'int9' is not a codec; there are"),
])  # fmt: skip
def test_what_is_typed_of_codecs_wrongly_is_said(texts, reason):
    with pytest.raises(InputError, match=reason):
        chosen(texts)


def test_a_codec_for_what_is_no_layer_is_refused():
    network = load_source("squeezenet1_1")
    with pytest.raises(InputError, match=r"codec: imput=int8: squeezenet1_1 has no layer or input 'imput'; did you mean 'input'"):
        Instance.from_profile(network, codec=chosen(["imput=int8"]))
    with pytest.raises(InputError, match=r"coding\.codecs\.nobody: names no layer"):
        Instance.from_dict({**chain_data(), "coding": {"codec": "raw", "codecs": {"nobody": "int8"}, "sent": {}}})
