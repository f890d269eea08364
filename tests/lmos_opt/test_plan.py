"""Plans: stages and crossing tensors by hand, for every cut."""

from __future__ import annotations

import pytest

from lmos_opt import InputError, Instance, NetworkProfile, Plan, make_plan
from lmos_opt.plan import LARGEST_CROSSING_BYTES, STAGES, check_runnable, check_sendable, not_sendable
from lmos_opt.split import Split, down_closed_sets
from lmos_opt.stages import stage_times
from tests.lmos_opt.documents import SETTING, chain_data, diamond_data, listed, plan_example, profile_data

CHAIN = [  # edge, 1e6 B/s over, server, and the sum
    (0.0, 0.004, 0.4375, 0.4415),
    (0.25, 0.008, 0.375, 0.633),
    (0.75, 0.001, 0.25, 1.001),
    (1.75, 0.0, 0.0, 1.75),
]


@pytest.mark.parametrize("x1", range(4))
@pytest.mark.parametrize("rtt", [0.0, 0.5])
def test_every_cut_of_a_chain_by_hand(x1, rtt):
    instance = Instance.from_dict(chain_data(rtt_s=rtt))
    plan = make_plan(instance, instance.names[:x1], setting=SETTING)
    edge, tx, server, latency = CHAIN[x1]
    paid = rtt if x1 < 3 else 0.0
    assert (plan.x1, plan.x2, plan.edge_layers) == (x1, 3 - x1, ("a", "b", "c")[:x1])
    assert plan.predicted == {"t_edge_s": edge, "t_tx_s": tx + paid, "t_server_s": server, "latency_s": latency + paid,
                              "edge_memory_bytes": (0, 12100, 13100, 63140)[x1]}  # fmt: skip


@pytest.mark.parametrize(
    ("edge", "crossing"),
    [("", {"input": 4000}), ("a", {"input": 4000, "a": 5000}), ("ab", {"input": 4000, "a": 5000, "b": 300}),
     ("ac", {"input": 4000, "a": 5000, "c": 70}), ("abc", {"input": 4000, "b": 300, "c": 70}), ("abcd", {})],
)  # fmt: skip
def test_every_split_of_a_diamond_by_hand(edge, crossing):
    """What several layers at the server read crosses once."""
    instance = Instance.from_dict(diamond_data())
    plan = make_plan(instance, list(edge), setting=SETTING)
    assert {tensor.name: tensor.bytes for tensor in plan.crossing} == crossing
    assert plan.predicted["t_tx_s"] == sum(crossing.values()) / 1e6
    assert plan.predicted["t_edge_s"] == 0.5 * len(edge)
    assert plan.predicted["t_server_s"] == 0.125 * (4 - len(edge))
    assert plan.edge_layers == tuple(edge)


def test_a_split_has_what_stage_times_says():
    instance = Instance.from_dict(diamond_data(rtt_s=0.25))
    for edge in down_closed_sets(instance):
        split = Split(instance, edge)
        assert split.times == stage_times(instance, edge)
        assert split.times.latency_s == pytest.approx(
            split.times.t_edge_s + split.times.t_tx_s + split.times.t_server_s, rel=1e-15)  # fmt: skip
        assert split.is_proper == (len(edge) in (1, 2, 3))
        assert split.edge_layers == tuple(sorted(edge))


def test_the_memory_is_the_settings_model():
    instance = Instance.from_dict(diamond_data())
    peak = SETTING.model_copy(update={"memory_model": "peak"})
    found = [make_plan(instance, "abcd", setting=s).predicted["edge_memory_bytes"] for s in (SETTING, peak)]
    assert found == [13380, 13370]


def test_each_of_several_outputs_crosses_by_its_own_name():
    plan = plan_example()
    assert [(t.name, t.shape, t.dtype, t.bytes) for t in plan.crossing] == [
        ("split[0]", (1, 2, 8, 8), "float32", 512), ("split[1]", (1, 1, 8, 8), "float32", 256)]  # fmt: skip
    assert plan.predicted["energy"] == 0.5


def test_the_image_crosses_with_its_shape_and_an_instances_tensor_as_bytes():
    profile = NetworkProfile.from_dict(profile_data())
    plan = make_plan(Instance.from_profile(profile), [], setting=SETTING, profile=profile)
    assert [(t.name, t.shape, t.dtype, t.bytes) for t in plan.crossing] == [("input", (1, 3, 8, 8), "float32", 768)]
    plan = make_plan(Instance.from_dict(chain_data()), ["a"], setting=SETTING)
    assert [(t.name, t.shape, t.dtype, t.bytes) for t in plan.crossing] == [("a", (8000,), "uint8", 8000)]


def test_the_layers_stand_in_topological_order_whatever_order_they_come_in():
    assert make_plan(Instance.from_dict(diamond_data()), ["c", "a"], setting=SETTING).edge_layers == ("a", "c")


def test_a_set_that_is_not_down_closed_is_refused():
    with pytest.raises(InputError, match="its input 'a' is not"):
        make_plan(Instance.from_dict(diamond_data()), ["b"], setting=SETTING)


def test_further_objectives_stand_beside_the_stages():
    instance = Instance.from_dict(chain_data())
    values = {"latency": make_plan(instance, [], setting=SETTING).predicted["latency_s"], "memory": 0, "energy": 2.5, "price": 3}
    plan = make_plan(instance, [], setting=SETTING, values=values)
    assert set(plan.predicted) == {*STAGES, "energy", "price"}
    assert (plan.predicted["latency_s"], plan.predicted["energy"], plan.predicted["price"]) == (0.4415, 2.5, 3)


def test_an_objective_named_like_a_stage_does_not_replace_it():
    plan = make_plan(Instance.from_dict(chain_data()), [], setting=SETTING, values={"latency_s": 7.0})
    assert plan.predicted["latency_s"] == 0.4415


def test_a_plan_of_a_profile_knows_its_network_and_one_of_numbers_cannot_be_run():
    network = check_runnable(plan_example(), "plan.json")
    assert (network.name, network.builder, network.input.shape) == ("tiny", "torchvision:alexnet", (1, 3, 8, 8))
    plan = make_plan(Instance.from_dict(chain_data()), [], setting=SETTING)
    with pytest.raises(InputError, match=r"^plan\.json: network: is null"):
        check_runnable(plan, "plan.json")


def test_a_plan_that_contradicts_itself_is_refused_and_nothing_is_written(tmp_path):
    data = plan_example().to_dict()
    del data["predicted"]["latency_s"]
    with pytest.raises(InputError) as caught:
        Plan.from_dict(data | {"x1": 2}, "plan.json")
    assert [problem.path for problem in caught.value.problems] == ["predicted.latency_s", "x1"]
    assert listed(tmp_path) == []


def test_predictions_from_measured_times_say_between_what_they_lie():
    data = profile_data()
    data["layers"][0] |= {"t_local_s": 1.0, "t_local_low_s": 0.5, "t_local_high_s": 3.0}
    data["timing"] = {"exchange_s": 0.25, "exchange_low_s": 0.125, "exchange_high_s": 0.5}
    profile = NetworkProfile.from_dict(data)

    def plan(x1, edge="local", server="local", **options):
        instance = Instance.from_profile(profile, edge=edge, server=server, bandwidth=768.0, **options)
        setting = SETTING.model_copy(update={"edge": edge, "server": server, "rtt_s": instance.rtt_s})
        return make_plan(instance, instance.names[:x1], setting=setting, profile=profile)

    cut = plan(1)
    assert (cut.predicted["t_edge_s"], cut.predicted["t_tx_s"], cut.predicted["t_server_s"]) == (1.0, 1.25, 0.25)
    assert cut.predicted_interval == {"t_edge_s": (0.5, 3.0), "t_tx_s": (1.125, 1.5), "t_server_s": (0.2, 0.25),
                                      "latency_s": (pytest.approx(1.825), pytest.approx(4.75))}  # fmt: skip
    assert Plan.from_dict(cut.to_dict()) == cut
    assert plan(2).predicted_interval["t_edge_s"] == (pytest.approx(0.7), 3.25)
    assert "t_tx_s" not in plan(2).predicted_interval
    assert "t_tx_s" not in plan(1, rtt=0.1).predicted_interval
    assert plan(1, server="paper-server").predicted_interval.keys() == {"t_edge_s", "latency_s"}
    assert plan(1, "rpi4", "paper-server").predicted_interval == {}


def _crossing_of(*n_bytes):
    tensors = [{"name": f"t{k}", "shape": [n], "dtype": "uint8", "bytes": n} for k, n in enumerate(n_bytes)]
    return Plan.from_dict(plan_example().to_dict() | {"crossing": tensors})


@pytest.mark.parametrize(("n_bytes", "why"), [
    ((LARGEST_CROSSING_BYTES,), None),
    ((LARGEST_CROSSING_BYTES - 5, 5), None),
    ((5, 1_200_000_000), "tensor 't1' of 1200000000 bytes crosses; the runner carries at most 1073741824 bytes an image"),
    ((600_000_000, 700_000_000), "2 tensors of 1300000000 bytes cross, the largest 't1' of 700000000; the runner carries at most "
                                 "1073741824 bytes an image"),
    ((1,) * 4096, None),
    ((1,) * 4097, "4097 tensors cross; the runner carries at most 4096 an image"),
])  # fmt: skip
def test_fault_18_more_than_the_runner_carries_is_said_and_refused(n_bytes, why):
    plan = _crossing_of(*n_bytes)
    assert not_sendable(plan) == why
    if why is None:
        check_sendable(plan, "plan.json")
    else:
        with pytest.raises(InputError) as caught:
            check_sendable(plan, "plan.json")
        assert str(caught.value) == f"plan.json: crossing: {why}; choose another split"


def test_a_changed_edge_changes_the_counts_and_a_file_says_both():
    plan = plan_example()
    moved = plan.model_copy(update={"edge_layers": ()})
    assert (moved.x1, moved.x2) == (0, plan.x1 + plan.x2) == (0, plan.n_layers)
    data = plan.to_dict()
    keys = list(data)
    assert keys[keys.index("edge_layers") :][:3] == ["edge_layers", "x1", "x2"]
    assert "n_layers" not in data


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"x2": -1}, "x2: got -1, expected"), ({"x1": None}, "x1: is missing"),
    ({"n_layers": 3}, "n_layers: is not a key of this schema"),
])  # fmt: skip
def test_counts_of_a_plan_s_file_are_looked_at(changes, complaint):
    with pytest.raises(InputError, match=complaint):
        Plan.from_dict(plan_example().to_dict() | changes, "plan.json")


def test_a_plan_s_file_without_a_count_is_refused():
    data = plan_example().to_dict()
    del data["x2"]
    with pytest.raises(InputError, match=r"^plan.json: x2: is missing$"):
        Plan.from_dict(data, "plan.json")


def test_doubts_about_measured_times_stay_with_the_plan_until_it_is_run(tmp_path):
    timing = {"ended": "budget", "precision": 0.05, "widest": 0.9, "others": 0.5}
    profile = NetworkProfile.from_dict(profile_data() | {"timing": timing})
    instance = Instance.from_profile(profile, edge="local", server="paper-server", bandwidth="10Mbps")
    setting = SETTING.model_copy(update={"edge": "local", "server": "paper-server"})
    plan = make_plan(instance, (), setting=setting, profile=profile)
    assert [doubt.split()[-2:] for doubt in plan.setting.doubts] == [["its", "median"], ["processors", "meanwhile"]]
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    assert not make_plan(instance, (), setting=SETTING, profile=profile).setting.doubts
    assert "doubts" not in SETTING.model_dump()
