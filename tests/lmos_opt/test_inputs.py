"""Networks with several inputs: what crosses, what takes memory, the file, and fronts beside brute force."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import random_instance, with_inputs, with_limit, with_results
from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.formulation.memory import edge_memory
from lmos_opt.graph import check_order
from lmos_opt.policies.policy_maps import bandwidth_policy
from lmos_opt.rules.min_cut import min_cut
from lmos_opt.split import Split, down_closed_sets
from tests.lmos_opt.documents import instance_data, layer, names, sizes


def places_data(*layers: dict, inputs: dict[str, int]) -> dict:
    """The content of a file with these inputs: two places, 1e6 B/s, no limit."""
    placed = [{**one, "t_s": [one["t_edge_s"], one["t_server_s"]]} for one in layers]
    return {"schema": "lmos.instance/2", "name": "toy", "inputs": inputs,
            "places": [{"name": "phone", "memory_limit_bytes": None}, {"name": "cloud", "memory_limit_bytes": None}],
            "hops": [{"bandwidth_bytes_per_s": 1e6, "back_bytes_per_s": None, "rtt_s": 0.5}],
            "layers": [{k: v for k, v in one.items() if k not in ("t_edge_s", "t_server_s")} for one in placed]}  # fmt: skip


@pytest.fixture
def words() -> Instance:
    """Words and a mask: a embeds the words, b reads both, c the mask alone."""
    return Instance.from_dict(places_data(layer("a", "input.ids"), layer("b", "a", "input.ids", "input.mask"),
                                          layer("c", "b", "input.mask"), inputs={"input.ids": 600, "input.mask": 40}))  # fmt: skip


@pytest.mark.parametrize(
    ("edge", "crossing", "held"),
    [((), ("input.ids", "input.mask"), 0), ("a", ("input.ids", "input.mask", "a"), 600), ("ab", ("input.mask", "b"), 640),
     ("abc", (), 640)],
)  # fmt: skip
def test_an_input_crosses_where_a_server_layer_reads_it_and_takes_memory_where_an_edge_layer_does(words, edge, crossing, held):
    assert words.crossing(words.edge_set(edge)) == crossing
    assert edge_memory(words, frozenset(edge), "sum") == 3000 * len(edge) + held


def test_an_input_that_the_server_alone_reads_is_alive_at_the_edge_until_it_is_sent(words):
    assert edge_memory(words, frozenset("a"), "peak") == 1000 + 2000 + 600 + 40


def test_an_only_input_is_held_even_by_a_layer_that_reads_nothing():
    alone = Instance.from_dict(instance_data(layer("a", "input"), layer("constant"), input_bytes=70))
    assert edge_memory(alone, frozenset({"constant"}), "sum") == 3000 + 70
    both = Instance.from_dict(places_data(layer("a", "x"), layer("b", "y"), layer("constant"), inputs={"x": 70, "y": 5}))
    assert edge_memory(both, frozenset({"constant"}), "sum") == 3000


def test_the_graph_knows_inputs_as_a_set(words):
    assert words.tensors == ("input.ids", "input.mask", "a", "b", "c")
    assert words.arcs == (("input.ids", "a"), ("a", "b"), ("input.ids", "b"), ("input.mask", "b"), ("b", "c"), ("input.mask", "c"))
    assert not words.is_chain
    with pytest.raises(InputError, match=r"has 2 inputs, input\.ids, input\.mask; expected one"):
        _ = words.input_bytes
    check_order([("a", ("ids",)), ("input", ("a", "mask"))], {"ids", "mask"})
    with pytest.raises(InputError, match=r"'input' is neither an earlier layer nor one of the inputs 'ids', 'mask'"):
        Instance.from_dict(places_data(layer("a", "input"), inputs={"ids": 1, "mask": 2}))
    with pytest.raises(InputError, match=r"layers\[0\]\.name: 'ids' is reserved for an input"):
        Instance.from_dict(places_data(layer("ids", "ids"), inputs={"ids": 1, "mask": 2}))


def test_the_file_has_places_and_reads_back_equal(words):
    written = words.to_dict()
    assert written["schema"] == "lmos.instance/2"
    assert list(written) == ["schema", "name", "inputs", "places", "hops", "layers"]
    assert written["layers"][0] == {"name": "a", "inputs": ["input.ids"], "t_s": [0.5, 0.125], "weight_bytes": 1000,
                                    "output_bytes": 2000}  # fmt: skip
    assert Instance.from_dict(written) == words
    assert words.replace(rtt_s=0.25).rtt_s == 0.25


@given(st.dictionaries(names, sizes, min_size=1, max_size=3))
def test_instances_of_any_inputs_read_back_equal(inputs):
    instance = Instance.from_dict(places_data(layer("the layer", *inputs), inputs=inputs))
    assert Instance.from_dict(instance.to_dict()) == instance


def test_one_input_called_input_in_two_places_of_the_usual_names_is_written_as_ever():
    old = Instance.from_dict(instance_data(layer("a", "input")))
    new = places_data(layer("a", "input"), inputs={"input": 4000})
    new["places"][0]["name"], new["places"][1]["name"], new["hops"][0]["rtt_s"] = "edge", "server", 0.0
    assert Instance.from_dict(new) == old
    assert old.to_dict()["schema"] == "lmos.instance/1"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"inputs": {}}, "inputs: is empty"),
        ({"inputs": {"input": -1}}, "inputs.input: got -1, expected greater than or equal to 0"),
        ({"hops": []}, "hops: has 0 hops; expected 1, one between each place and the next"),
        ({"input_bytes": 4}, "input_bytes: is not a key of this schema"),
        ({"places": [{"name": "a", "memory_limit_bytes": None}] * 2}, "places[1].name: 'a' is the name of an earlier place"),
    ],
)  # fmt: skip
def test_a_file_of_places_is_checked(change, problem):
    data = places_data(layer("a", "input"), inputs={"input": 4000})
    with pytest.raises(InputError) as caught:
        Instance.from_dict(data | change, "bad.json")
    assert problem in [str(p) for p in caught.value.problems]


def test_an_older_file_names_its_own_keys():
    for data, problem in ((instance_data(layer("a", "input"), input_bytes=-1), "input_bytes: got -1"),
                          (instance_data(layer("a", "input"), inputs={"input": 1}), "inputs: is not a key"),
                          ({k: v for k, v in instance_data(layer("a", "input")).items() if k != "input_bytes"},
                           "input_bytes: is missing")):  # fmt: skip
        with pytest.raises(InputError, match=problem):
            Instance.from_dict(data)


def several(seed: int, most_layers: int = 7) -> Instance:
    """A random graph of few layers with one to three inputs, often with results and a limit."""
    instance = with_inputs(random_instance(seed, most_layers, ("dag", "wide", "chain")[seed % 3]), seed)
    instance = with_results(instance, seed) if seed % 2 else instance
    return with_limit(instance, seed) if seed % 5 == 0 else instance


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_what_crosses_and_takes_memory_is_what_brute_force_says(seed):
    instance = several(seed)
    for edge in down_closed_sets(instance):
        readers = {u: [v.name for v in instance.layers if u in v.inputs] for u in instance.inputs}
        crossing = {u for u in instance.inputs if set(readers[u]) - edge}
        assert crossing == set(instance.crossing(edge)) & set(instance.inputs)
        if len(instance.inputs) > 1:
            held = sum(n for u, n in instance.inputs.items() if edge & set(readers[u]))
            held += sum(v.weight_bytes + v.output_bytes for v in instance.layers if v.name in edge)
            assert edge_memory(instance, edge, "sum") == held


@given(st.integers(0, 10**6), st.sampled_from(["sum", "peak"]), st.sampled_from([["latency", "memory"], ["tx_bytes", "memory"]]))
@settings(max_examples=20)
def test_fronts_with_several_inputs_are_exact(seed, memory_model, objectives):
    instance = several(seed)
    front = pareto_front(instance, objectives, memory_model=memory_model)
    assert mistakes(front, instance, objectives, memory_model) == []


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_the_minimum_cut_is_the_least_latency_with_several_inputs(seed):
    instance = several(seed).replace(memory_limit_bytes=None)
    least = min(_exact_latency(instance, edge) for edge in down_closed_sets(instance))
    assert _exact_latency(instance, min_cut(instance).edge) == least


def _exact_latency(instance: Instance, edge: frozenset[str]) -> Fraction:
    total = sum((Fraction(v.t_edge_s if v.name in edge else v.t_server_s) for v in instance.layers), Fraction(0))
    total += sum(instance.sent_bytes(u) for u in instance.crossing(edge)) / Fraction(instance.bandwidth_bytes_per_s)
    total += Fraction(instance.rtt_s) if len(edge) < len(instance.layers) else 0
    back = sum(v.output_bytes for v in instance.layers if v.returned and v.name not in edge)
    return total + (0 if instance.back_bytes_per_s is None else back / Fraction(instance.back_bytes_per_s))


@pytest.mark.parametrize("seed", [2, 9])
def test_a_policy_with_several_inputs_chooses_the_least_latency(seed):
    instance = several(seed, 5)
    policy = bandwidth_policy(instance, "min_latency")
    for bandwidth in (2e5, 3.3e6):
        here = instance.replace(bandwidth_bytes_per_s=bandwidth)
        least = min(Split(here, edge).times.latency_s for edge in down_closed_sets(here))
        assert policy.at(bandwidth).latency_s(bandwidth) == pytest.approx(least, rel=1e-12)


def test_two_readers_beside_each_other_hold_an_input_once():
    """b and c both read y; neither comes before the other."""
    instance = Instance.from_dict(places_data(layer("a", "x"), layer("b", "y"), layer("c", "y", "x"), inputs={"x": 3, "y": 50}))
    for n in range(4):
        for chosen in combinations("abc", n):
            held = (3 if {"a", "c"} & {*chosen} else 0) + (50 if {"b", "c"} & {*chosen} else 0)
            assert edge_memory(instance, frozenset(chosen), "sum") == 3000 * n + held
    assert mistakes(pareto_front(instance), instance, ["latency", "memory"], "sum") == []
