"""Instances: the graph, edge sets and what crosses, and how a profile becomes one."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given

from lmos_opt import Device, InputError, Instance, NetworkProfile
from lmos_opt.device import load_device
from lmos_opt.graph import MOST_PROBLEMS
from lmos_opt.profile import Timing
from lmos_opt.split import down_closed_sets
from tests.lmos_opt import documents
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer, profile_data


@pytest.fixture
def diamond() -> Instance:
    return Instance.from_dict(diamond_data())


@pytest.fixture
def profile() -> NetworkProfile:
    return NetworkProfile.from_dict(profile_data())


def test_the_graph_of_a_diamond(diamond):
    assert diamond.names == ("a", "b", "c", "d")
    assert diamond.arcs == (("input", "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("input", "d"))
    assert diamond.consumers == {"input": ("a", "d"), "a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}
    assert [diamond.tensor_bytes(name) for name in ("input", "a", "b", "c", "d")] == [4000, 5000, 300, 70, 10]
    assert not diamond.is_chain
    assert diamond.layer("c").inputs == ("a",)
    with pytest.raises(KeyError):
        diamond.layer("e")


def test_an_input_read_twice_is_one_arc():
    instance = Instance.from_dict(instance_data(layer("a", "input"), layer("b", "a", "a")))
    assert instance.arcs == (("input", "a"), ("a", "b"))
    assert instance.crossing(frozenset({"a"})) == ("a",)
    assert instance.is_chain


@pytest.mark.parametrize(
    ("edge", "crossing"),
    [((), ("input",)), (("a",), ("input", "a")), (("a", "b"), ("input", "a", "b")), (("a", "c"), ("input", "a", "c")),
     (("c", "b", "a"), ("input", "b", "c")), (("a", "b", "c", "d"), ())],
)  # fmt: skip
def test_what_crosses_a_diamond(diamond, edge, crossing):
    assert diamond.crossing(diamond.edge_set(edge)) == crossing


def test_a_layer_without_inputs_runs_anywhere():
    instance = Instance.from_dict(instance_data(layer("a", "input"), layer("constant"), layer("b", "a", "constant")))
    assert instance.crossing(frozenset({"constant"})) == ("input", "constant")
    assert instance.crossing(frozenset({"a", "b"} | {"constant"})) == ()
    assert not instance.is_chain


def test_edge_sets_are_checked(diamond):
    with pytest.raises(InputError, match=r"^toy: layer 'd' is at the edge, but its input 'c' is not$"):
        diamond.edge_set(["a", "b", "d"])
    with pytest.raises(InputError, match=r"^toy: has no layer 'e'$"):
        diamond.edge_set(["a", "e"])


def test_a_chain_has_one_more_split_than_layers_and_a_diamond_six():
    chain, diamond = Instance.from_dict(chain_data()), Instance.from_dict(diamond_data())
    assert chain.is_chain
    assert sorted(map(len, down_closed_sets(chain))) == [0, 1, 2, 3]
    assert len(set(down_closed_sets(diamond))) == len(list(down_closed_sets(diamond))) == 6


@given(documents.instances())
def test_the_down_closed_sets_are_those_that_edge_set_takes(instance):
    subsets = [frozenset(name for k, name in enumerate(instance.names) if bits >> k & 1)
               for bits in range(2 ** len(instance.names))]  # fmt: skip
    allowed = [edge for edge in subsets
               if all(u == "input" or u in edge for v in edge for u in instance.layer(v).inputs)]  # fmt: skip
    found = list(down_closed_sets(instance))
    assert len(found) == len(set(found))
    assert set(found) == set(allowed)


@pytest.mark.parametrize(
    ("layers", "problems"),
    [
        ([layer("a", "b")], ["layers[0].inputs[0]: 'b' is neither an earlier layer nor 'input'"]),
        ([layer("a", "a")], ["layers[0].inputs[0]: 'a' makes a cycle with 'a'; expected an earlier layer"]),
        ([layer("a", "c"), layer("b", "a"), layer("c", "b")],
         ["layers[0].inputs[0]: 'c' makes a cycle with 'a'; expected an earlier layer"]),
        ([layer("a", "b"), layer("b", "input")],
         ["layers[0].inputs[0]: 'b' stands later in the list; expected topological order"]),
        ([layer("a", "input"), layer("a", "input")], ["layers[1].name: 'a' is already the name of layers[0]"]),
        ([layer("input", "input")], ["layers[0].name: 'input' is reserved for an input"]),
        ([], ["layers: is empty"]),
        ([layer("a", "x", "input", "y"), layer("a"), layer("b", "b")],
         ["layers[1].name: 'a' is already the name of layers[0]",
          "layers[0].inputs[0]: 'x' is neither an earlier layer nor 'input'",
          "layers[0].inputs[2]: 'y' is neither an earlier layer nor 'input'",
          "layers[2].inputs[0]: 'b' makes a cycle with 'b'; expected an earlier layer"]),
    ],
)  # fmt: skip
def test_graphs_that_are_none_are_refused_with_everything_wrong(layers, problems):
    with pytest.raises(InputError) as caught:
        Instance.from_dict(instance_data(*layers), "bad.json")
    assert [str(problem) for problem in caught.value.problems] == problems


def test_a_long_chain_backwards_is_refused_without_walking_it_for_every_arc():
    layers = [layer(f"v{k}", f"v{k + 1}") for k in range(9999)] + [layer("v9999", "input")]
    with pytest.raises(InputError, match="stands later in the list") as caught:
        Instance.from_dict(instance_data(*layers))
    assert len(caught.value.problems) == MOST_PROBLEMS


def test_a_layer_keeps_further_numbers():
    instance = Instance.from_dict(instance_data(layer("a", "input", price=2, carbon=-0.5)))
    assert instance.layer("a").extra == {"price": 2.0, "carbon": -0.5}
    assert Instance.from_dict(instance.to_dict()) == instance


def test_replace_gives_a_checked_copy(diamond):
    other = diamond.replace(rtt_s=0.02, memory_limit_bytes=5)
    assert (other.rtt_s, other.memory_limit_bytes, diamond.rtt_s) == (0.02, 5, 0.0)
    assert other.layers == diamond.layers
    with pytest.raises(InputError, match="toy: rtt_s: got -1, expected"):
        diamond.replace(rtt_s=-1)
    with pytest.raises(InputError, match="toy: speed: is not a key"):
        diamond.replace(speed=1)


def device(**changes: object) -> Device:
    """Two cores at 1 GHz, 4 MACs a cycle: 8e9 MACs a second."""
    return Device.from_dict({"schema": "lmos.device/1", "name": "two", "description": "", "cores": 2, "hz": 1e9,
                             "ops_per_cycle": 4.0, "memory_bytes": None, "sources": [{"what": "all", "source": "made up"}],
                             **changes})  # fmt: skip


def test_a_profile_becomes_an_instance_by_equations_1_and_3(profile):
    """1.92e9 MACs: 0.24 s at 8e9 MACs/s, 3.84 s where the kind `linear` gets 0.25 a cycle."""
    slow = device(ops_per_cycle_by_kind={"linear": 0.25}, power={"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0})
    found = Instance.from_profile(profile, edge=slow, server=device(), bandwidth="8Mbps", rtt="20ms", memory="4GB")
    assert [(v.t_edge_s, v.t_server_s) for v in found.layers] == [(0.0, 0.0), (3.84, 0.24)]
    assert [(v.name, v.inputs, v.weight_bytes, v.output_bytes) for v in found.layers] == [
        ("split", ("input",), 0, 768), ("fc", ("split",), 8000, 40)]  # fmt: skip
    assert (found.name, found.input_bytes, found.bandwidth_bytes_per_s) == ("tiny", 768, 1e6)
    assert (found.rtt_s, found.memory_limit_bytes, found.power) == (0.02, 4 * 10**9, slow.power)
    assert found.layer("fc").extra == {"macs": 1.92e9}


def test_the_papers_devices_count_one_operation_a_cycle(profile):
    """X / (C * S): 4 cores at 1.5 GHz, and 8 at 1.5 GHz."""
    found = Instance.from_profile(profile, edge="rpi4-literal", server="paper-server")
    assert found.layer("fc").t_edge_s == 1.92e9 / 6e9
    assert found.layer("fc").t_server_s == 1.92e9 / (load_device("paper-server").cores * 1.5e9)


def test_the_defaults_are_the_papers(profile):
    found = Instance.from_profile(profile)
    assert found == Instance.from_profile(profile, edge="rpi4", server="paper-server", bandwidth="10Mbps", rtt=0, memory=None)
    assert (found.bandwidth_bytes_per_s, found.rtt_s, found.memory_limit_bytes) == (1.25e6, 0.0, None)


def test_the_name_of_a_network_is_no_profile():
    with pytest.raises(InputError, match="profile: got 'alexnet'; expected a NetworkProfile, as "):
        Instance.from_profile("alexnet")


def test_numbers_do_as_well_as_text(profile):
    assert Instance.from_profile(profile, bandwidth=1e6, rtt=0.02, memory=4 * 10**9) == Instance.from_profile(
        profile, bandwidth="8Mbps", rtt="20ms", memory="4GB")  # fmt: skip


def test_local_takes_the_measured_times(profile):
    found = Instance.from_profile(profile, edge="local", server="local")
    assert [(v.t_edge_s, v.t_server_s) for v in found.layers] == [(1e-6, 1e-6), (0.25, 0.25)]
    assert found.power is None


def test_the_cost_of_an_exchange_is_what_was_measured_where_both_sides_are_this_machine(profile):
    def rtt(timing, **options):
        found = profile.model_copy(update={"timing": None if timing is None else Timing(**timing)})
        return Instance.from_profile(found, **{"edge": "local", "server": "local", **options}).rtt_s

    measured = {"exchange_s": 0.0015, "restart_s": 0.001}
    assert rtt(measured) == 0.0025
    assert rtt({"exchange_s": 0.0015}) == 0.0015
    assert rtt(measured, rtt="20ms") == 0.02
    assert rtt(measured, rtt=0.0) == 0.0
    assert rtt(measured, server="paper-server") == rtt(measured, edge="rpi4") == 0.0
    assert rtt(None) == rtt({"threads": 2}) == 0.0


def test_local_without_times_says_how_to_measure_them():
    data = copy.deepcopy(profile_data())
    data["layers"][1] |= dict.fromkeys(("t_local_s", "t_local_low_s", "t_local_high_s"))
    profile = NetworkProfile.from_dict(data)
    assert not profile.is_timed
    with pytest.raises(InputError, match=r"^local: layer 'fc' has no measured time; .*lmos profile NETWORK --time"):
        Instance.from_profile(profile, edge="local")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"bandwidth": "0Mbps"}, "^bandwidth: "), ({"bandwidth": 0}, "^bandwidth: "), ({"rtt": "x"}, "^rtt: "),
     ({"memory": "-1"}, "^memory: "), ({"memory": 0.5}, "^memory: .*fraction of a byte"), ({"edge": "rpi9"}, "^rpi9: "),
     ({"server": "none.json"}, "^none.json: no such file"), ({"memory": "1e30"}, "memory_limit_bytes: got 1")],
)  # fmt: skip
def test_options_that_cannot_be_used(profile, options, complaint):
    with pytest.raises(InputError, match=complaint):
        Instance.from_profile(profile, **options)
