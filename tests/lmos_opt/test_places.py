"""Places along a path: what is stated of a split beside definitions written out, fronts beside brute force, files, paths, names."""

from __future__ import annotations

import random
from itertools import product
from math import fsum

import pyomo.environ as pyo
import pytest

from lmos.bench.exactness import answer, drawn_case, mistakes
from lmos.bench.random_instances import random_instance, with_inputs, with_places, with_results
from lmos_opt import Front, InfeasibleError, InputError, Instance, Objective, pareto_front
from lmos_opt.formulation import build_model
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.objectives import get
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import baseline
from lmos_opt.split import Split, all_splits
from tests.lmos_opt.documents import profile_data

EXAMPLE = {
    "schema": "lmos.instance/2", "name": "toy", "inputs": {"input": 602112},
    "places": [{"name": "phone", "memory_limit_bytes": 200000000}, {"name": "box", "memory_limit_bytes": None},
               {"name": "cloud", "memory_limit_bytes": None}],
    "hops": [{"bandwidth_bytes_per_s": 2500000.0, "back_bytes_per_s": None, "rtt_s": 0.005},
             {"bandwidth_bytes_per_s": 125000000.0, "back_bytes_per_s": None, "rtt_s": 0.001}],
    "layers": [{"name": "conv1", "inputs": ["input"], "t_s": [0.5, 0.1, 0.01], "weight_bytes": 7168, "output_bytes": 3211264},
               {"name": "conv2", "inputs": ["conv1"], "t_s": [0.5, 0.1, 0.01], "weight_bytes": 7168, "output_bytes": 32112},
               {"name": "head", "inputs": ["conv2", "conv1"], "t_s": [0.5, 0.1, 0.01], "weight_bytes": 70, "output_bytes": 40,
                "returned": True}],
}  # fmt: skip


@pytest.fixture
def example() -> Instance:
    return Instance.from_dict(EXAMPLE)


def along(seed: int, k: int, most_layers: int) -> Instance:
    """A random instance of k places."""
    instance = random_instance(seed, most_layers, ("dag", "wide", "chain")[seed % 3], "realistic")
    instance = with_results(instance, seed) if seed % 2 else instance
    instance = with_inputs(instance, seed) if seed % 3 else instance
    return with_places(instance.replace(power={"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0}), seed, k)


def by_hand(instance: Instance) -> list[dict[str, int]]:
    """Every admitted way to run the layers at the places, straight from the definition: the place of each layer, from 1."""
    k = len(instance.places)
    found = []
    for places in product(range(1, k + 1), repeat=len(instance.layers)):
        at = dict(zip(instance.names, places, strict=True))
        if all(at[u] <= at[v.name] for v in instance.layers for u in v.inputs if u not in instance.inputs) and all(
                len({at[v] for v in group}) == 1 for group in instance.together):  # fmt: skip
            found.append(at)
    return found


def memory_by_hand(instance: Instance, at: dict[str, int], p: int, model: str) -> int:
    """The memory of place p, as the definition reads."""
    made = {**dict.fromkeys(instance.inputs, 1), **at}
    order = {name: k for k, name in enumerate(instance.names)}
    readers = {u: [v.name for v in instance.layers if u in v.inputs] for u in made}
    own = [v for v in instance.layers if at[v.name] == p]
    given = [u for u in made if (p == 1 and u in instance.inputs) or (made[u] < p and any(at[v] >= p for v in readers[u]))]
    weights = sum(v.weight_bytes for v in own)
    if model == "sum":
        alone = len(instance.inputs) == 1
        held = [u for u in given if p > 1 or any(at[v] == 1 for v in (instance.names if alone else readers[u]))]
        return weights + sum(v.output_bytes for v in own) + sum(map(instance.tensor_bytes, held))
    leaves = {u for u in made if made[u] <= p and any(at[v] > p for v in readers[u])}
    if p == 1:
        leaves |= {v.name for v in own if v.returned}
    most = 0 if p == 1 else sum(instance.tensor_bytes(u) for u in given if u in leaves)
    for v in own:
        earlier = [*given, *(a.name for a in own if order[a.name] < order[v.name])]
        alive = [a for a in earlier if a in leaves or any(at[r] == p and order[r] >= order[v.name] for r in readers[a])]
        most = max(most, v.output_bytes + sum(map(instance.tensor_bytes, alive)))
    return weights + most


def times_by_hand(instance: Instance, at: dict[str, int]) -> tuple[list[float], list[float]]:
    """The time of each place, and of each hop."""
    made = {**dict.fromkeys(instance.inputs, 1), **at}
    places = [fsum(v.t_s[p - 1] for v in instance.layers if at[v.name] == p) for p in range(1, len(instance.places) + 1)]
    hops = []
    for h, hop in enumerate(instance.hops, 1):
        crossing = [u for u in made if made[u] <= h and any(u in v.inputs and at[v.name] > h for v in instance.layers)]
        back = sum(v.output_bytes for v in instance.layers if v.returned and at[v.name] > h)
        hops.append(sum(map(instance.tensor_bytes, crossing)) / hop.bandwidth_bytes_per_s
                    + (hop.rtt_s if any(p > h for p in at.values()) else 0.0)
                    + (0.0 if hop.back_bytes_per_s is None else back / hop.back_bytes_per_s))  # fmt: skip
    return places, hops


@pytest.mark.parametrize(("seed", "k", "most"), [(1, 2, 6), (2, 3, 5), (5, 3, 6), (7, 3, 5), (8, 4, 4), (11, 4, 4)])
def test_every_split_is_what_the_definitions_say(seed, k, most):
    instance = along(seed, k, most)
    splits = {split.places: split for split in all_splits(instance)}
    hand = by_hand(instance)
    assert len(splits) == len(hand)
    for at in hand:
        split = splits[tuple(tuple(v for v in instance.names if at[v] == p) for p in range(1, k + 1))]
        for model, p in product(("sum", "peak"), range(1, k + 1)):
            assert Split.of(instance, split.upto, model).memory_at(p) == memory_by_hand(instance, at, p, model)
        places, hops = times_by_hand(instance, at)
        assert split.times.t_place_s == pytest.approx(places, rel=1e-12)
        assert [hop.t_s for hop in split.times.hops] == pytest.approx(hops, rel=1e-12)
        assert split.times.latency_s == pytest.approx(sum(places) + sum(hops), rel=1e-12)
        assert get("throughput").value(split) == pytest.approx(max(*places, *hops), rel=1e-12)
        first = split.times.hops[0]
        waits = sum(places[1:]) + sum(hops) - first.t_bytes_s
        assert get("energy").value(split) == pytest.approx(4 * places[0] + 2 * first.t_bytes_s + waits, rel=1e-9)
        port = instance.port_bytes_per_s or float("inf")
        moved = {p: {u for v in instance.layers for u in v.inputs if u in at and at[u] != at[v.name] and p in (at[u], at[v.name])}
                 for p in range(1, k + 1)}  # fmt: skip
        loads = [places[p - 1] + sum(instance.tensor_bytes(u) / port for u in moved[p]) for p in range(1, k + 1)]
        assert get("load").value(split) == pytest.approx(max(loads), rel=1e-12)


def test_fronts_are_those_of_brute_force():
    """Both memory models, limits at any place, ways back, groups, ties and empty places."""
    chosen = [drawn_case(seed) for seed in range(160)]
    asked = [case for case in chosen if len(case.instance.places) > 2][:14]
    assert {len(case.instance.places) for case in asked} == {3, 4}
    for case in asked:
        for model in ("sum", "peak"):
            verdict = answer(case, model, "highs")
            assert (case.seed, model, verdict.mistakes, verdict.incomplete) == (case.seed, model, (), None)


def test_the_models_names(example):
    m = build_model(example)
    assert str(m.at[1, "conv1"]) == "upto[1,conv1]"
    assert str(m.at[2, "conv1"]) == "upto[2,conv1] - upto[1,conv1]"
    assert str(m.at[3, "conv1"]) == "1 - upto[2,conv1]"
    assert (str(m.sent[2, "input"]), str(m.offload[2])) == ("sent[2,input]", "offload[2]")
    two = build_model(random_instance(3, 4))
    assert two.upto[1, "layer0"] is two.edge["layer0"] is two.edge[1, "layer0"]
    assert two.sent[1, "input"] is two.sent["input"]
    assert two.offload[1] is two.offload
    assert str(two.at[2, "layer0"]) == "1 - edge[layer0]"
    assert [str(v) for v in two.component_data_objects(pyo.Var) if str(v).startswith("upto")] == []


@pytest.mark.parametrize("index", [(0, "conv1"), (4, "conv1"), (1, "conv9"), "conv1"])
def test_what_is_no_place_and_layer_is_one_clear_line(example, index):
    with pytest.raises(InputError, match=r"m\.at has no index"):
        pareto_front(example, constraints=[lambda m, inst: m.at[index] == 1])


def test_an_objective_and_a_rule_of_ones_own_know_places(example):
    """Joules of all places; and layers before `head` stay on the phone or in the box."""
    watts = (3.0, 10.0, 200.0)
    joules = Objective("joules", "J", "min", lambda m, inst: sum(
        w * inst.layer(v).t_s[p - 1] * m.at[p, v] for p, w in enumerate(watts, 1) for v in m.layers))  # fmt: skip
    front = pareto_front(example, ["latency", joules], constraints=[lambda m, inst: [m.at[3, v] == 0 for v in ("conv1", "conv2")]])
    assert front.complete
    assert all({"conv1", "conv2"} <= {*point.places[0], *point.places[1]} for point in front)
    own = [sum(w * t for w, t in zip(watts, Split.at(example, point.places).times.t_place_s, strict=True)) for point in front]
    assert [point.values["joules"] for point in front] == pytest.approx(own)


def test_points_say_what_runs_where_and_files_read_back_equal(example, tmp_path):
    front = pareto_front(example)
    point = front[0]
    assert point.edge_layers == point.places[0]
    assert (point.x1, point.x2, point.x3) == tuple(map(len, point.places)) == point.counts
    with pytest.raises(AttributeError):
        _ = point.x4
    front.save(tmp_path / "front.json")
    again = Front.load(tmp_path / "front.json")
    assert again == front
    assert again[0].places == point.places
    assert [*front.to_frame()[["x1", "x2", "x3"]].sum(axis=1)] == [3] * len(front)
    assert pareto_front(example, resume=again).points == front.points


def test_a_front_file_that_contradicts_itself_is_refused(example):
    data = pareto_front(example).to_dict()
    data["points"][0]["x3"] += 1
    with pytest.raises(InputError, match=r"points\[0\]\.x3: got .*, but the place has"):
        Front.from_dict(data)


def test_two_places_are_named_in_points_as_well():
    instance = random_instance(3, 5)
    front = pareto_front(instance)
    assert all(set(point.places[0]) | set(point.places[1]) == set(instance.names) for point in front)
    read = Front.from_dict(front.to_dict())
    assert read == front
    with pytest.raises(InputError, match="holds the layers of the first place only"):
        _ = read[0].places


def test_an_instance_of_places_reads_back_equal(example):
    assert example.to_dict()["schema"] == "lmos.instance/2"
    assert Instance.from_dict(example.to_dict()) == example
    full = along(2, 3, 5).replace(together=[["layer0"]], port_bytes_per_s=5.0)
    assert Instance.from_dict(full.to_dict()) == full
    assert example.replace(memory_limit_bytes=7).places[0].memory_limit_bytes == 7


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"hops": EXAMPLE["hops"][:1]}, "hops: has 1 hop; expected 2, one between each place and the next"),
        ({"together": [["conv1", "conv3"]]}, "together[0][1]: 'conv3' names no layer"),
        ({"layers": [{**EXAMPLE["layers"][0], "t_s": [1.0]}]}, "layers[0].t_s: has 1 time; expected 3, one for each place"),
        ({"layers": [{**EXAMPLE["layers"][0], "t_edge_s": 1.0}]}, "layers[0].t_edge_s: is not a key of this schema; times stand"),
        ({"coding": {"codec": "fp16", "sent": {"input": {"bytes": 1, "at_places": [{}]}}}},
         "coding.sent.input.at_places: has 1 item; expected 3, one for each place"),
        ({"memory_limit_bytes": 5}, "memory_limit_bytes: is not a key of this schema"),
        ({"places": EXAMPLE["places"][:1]}, "places: "),
        ({"places": ["phone", "box", "cloud"]}, 'places[0]: got "phone", expected an object'),
        ({"hops": {"a": 1}}, "hops: got an object of 1, expected a list"),
        ({"coding": {"codec": "INT 8", "sent": {}}}, 'coding.codec: got "INT 8", which does not match ^[a-z]'),
    ],
)  # fmt: skip
def test_a_file_of_places_is_checked(change, problem):
    with pytest.raises(InputError) as caught:
        Instance.from_dict(EXAMPLE | change, "bad.json")
    assert any(str(p).startswith(problem) for p in caught.value.problems), caught.value


def test_a_path_is_devices_and_hops():
    profile = NetworkProfile.from_dict(profile_data())
    found = Instance.from_profile(profile, path="rpi4 > 20Mbps,5ms > jetson-orin-nano-cpu > 1Gbps > i7-8700", memory="1GB")
    assert [place.name for place in found.places] == ["rpi4", "jetson-orin-nano-cpu", "i7-8700"]
    assert [(hop.bandwidth_bytes_per_s, hop.rtt_s) for hop in found.hops] == [(2.5e6, 0.005), (1.25e8, 0.0)]
    assert found.places[0].memory_limit_bytes == 10**9
    ends = Instance.from_profile(profile, edge="rpi4", server="i7-8700")
    assert [(v.t_s[0], v.t_s[2]) for v in found.layers] == [(v.t_edge_s, v.t_server_s) for v in ends.layers]
    two = Instance.from_profile(profile, path="rpi4 > 20Mbps,5ms > i7-8700")
    assert two == Instance.from_profile(profile, edge="rpi4", server="i7-8700", bandwidth="20Mbps", rtt="5ms")
    with pytest.raises(InputError, match="leave out edge, rtt"):
        Instance.from_profile(profile, path="rpi4 > 20Mbps > i7-8700", edge="rpi4", rtt="5ms")
    same = Instance.from_profile(profile, path="rpi4 > 20Mbps > rpi4 > 20Mbps > i7-8700")
    assert [place.name for place in same.places] == ["rpi4 1", "rpi4 2", "i7-8700"]


@pytest.mark.parametrize("text", ["rpi4", "rpi4 > 20Mbps", "rpi4 > > i7-8700", "rpi4 > 20Mbps,1ms,2Mbps,3 > i7-8700",
                                  "rpi4 > fast > i7-8700", "nobody > 20Mbps > i7-8700"])  # fmt: skip
def test_what_is_no_path_is_refused(text):
    with pytest.raises(InputError):
        Instance.from_profile(NetworkProfile.from_dict(profile_data()), path=text)


def test_cuts_by_number_and_everything_at_one_end(example):
    assert baseline(example, "cut:1,2").places == (("conv1",), ("conv2",), ("head",))
    assert baseline(example, "ECO").places == (example.names, (), ())
    assert baseline(example, "SCO").places == ((), (), example.names)
    drawn = {baseline(example, f"RS:{seed}").places for seed in range(40)}
    assert len(drawn) > 5
    for rule, message in (("cut:1", "expected 2 numbers for 3 places"), ("cut:2,1", "the numbers fall"),
                          ("cut:1,9", "9 is not between 0 and"), ("Neurosurgeon", "branches at layer 'head'")):
        with pytest.raises(InputError, match=message):
            baseline(example, rule)


def test_what_knows_two_places_says_so(example):
    layer = example.layers[0]
    for ask in (lambda: example.bandwidth_bytes_per_s, lambda: layer.t_server_s):
        with pytest.raises(InputError, match="has 3 "):
            ask()


def test_a_limit_that_leaves_nothing_is_named(example):
    tight = example.replace(places=[{"name": p.name, "memory_limit_bytes": None if p.name == "box" else 0} for p in example.places])
    only_box = pareto_front(tight)
    assert {point.counts for point in only_box} == {(0, 3, 0)}
    none = tight.replace(places=[{**p.model_dump(), "memory_limit_bytes": 0} for p in example.places])
    with pytest.raises(InfeasibleError, match="memory limit 0 B at box"):
        pareto_front(none)


@pytest.mark.parametrize("name", ["place_time:4", "place_time:0", "place_time:x", "tx_bytes:3", "place_time"])
def test_an_objective_of_a_place_that_is_not_there_is_refused(example, name):
    with pytest.raises(InputError, match="objective"):
        pareto_front(example, ["latency", name])


def test_numbered_objectives(example):
    front = pareto_front(example, ["place_time:2", "tx_bytes:1", "tx_bytes:2"])
    truth = enumerate_front(example, [get(name) for name in front.names])
    assert [tuple(point.values.values()) for point in front] == [values for values, _ in truth]


def test_layers_of_a_group_run_at_one_place():
    rng = random.Random(5)
    for seed in range(4):
        plain = random_instance(seed, 8, "wide")
        group = rng.sample(plain.names, min(2, len(plain.names)))
        bound = plain.replace(together=[group])
        front = pareto_front(bound)
        assert front.complete
        assert mistakes(front, bound, ["latency", "memory"], "sum") == []
        assert all(len({v in point.edge_layers for v in group}) == 1 for point in front)
