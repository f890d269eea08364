"""Cost models beside times worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lmos_opt import costs
from lmos_opt.device import Device, load_device
from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.profile import NetworkProfile, ProfileLayer
from lmos_opt.sources import Options, load_source, needs_local_times
from tests.lmos_opt.documents import profile_data

LINES = {
    "conv2d": {"fixed_s": 1e-4, "s_per_mac": 1e-9, "s_per_byte": 2e-9},
    "elementwise": {"fixed_s": 0.0, "s_per_mac": 0.0, "s_per_byte": 1e-9},
}
OTHER = {"fixed_s": 1e-3, "s_per_mac": 0.0, "s_per_byte": 0.0}
CALIBRATED = {"model": "calibrated", "kinds": LINES, "other": OTHER}
SCALED = {"model": "scaled", "machine": "desk", "here": {"macs_per_s": 8e9, "bytes_per_s": 4e9},
          "there": {"macs_per_s": 2e9, "bytes_per_s": 2e9}}  # fmt: skip


def device(cost: dict[str, Any] | None = None, **changes: Any) -> Device:
    found = {"schema": "lmos.device/1", "name": "box", "description": "", "cores": 2, "hz": 1e9, "ops_per_cycle": 2.0,
             "memory_bytes": None, "sources": [{"what": "all", "source": "a test"}], **changes}  # fmt: skip
    return Device.from_dict(found if cost is None else found | {"cost": cost})


def layer(*work: tuple[str, int, int, int], kind: str = "block", t_local_s: float | None = None) -> ProfileLayer:
    """A layer that does this work: (kind, operations, macs, bytes)."""
    parts = [dict(zip(("kind", "operations", "macs", "bytes"), one, strict=True)) for one in work]
    return ProfileLayer.model_validate(
        {"name": "l", "kind": kind, "inputs": ["input"], "macs": sum(one[2] for one in work), "params": 0, "weight_bytes": 0,
         "output_shape": [1], "output_bytes": 4, "outputs": [{"shape": [1], "dtype": "float32"}], "t_local_s": t_local_s,
         "work": parts})  # fmt: skip


BLOCK = layer(("conv2d", 1, 4_000_000, 1000), ("conv2d_depthwise", 2, 400_000, 3000), ("elementwise", 3, 0, 10_000))


def without_work(found: ProfileLayer) -> ProfileLayer:
    return found.model_copy(update={"work": None})


def test_the_shipped_ones_are_found_by_their_files():
    assert {"calibrated", "measured", "paper", "scaled"} <= {*costs.names()}
    assert {costs.get(name).model_fields["model"].annotation.__args__[0] for name in costs.names()} == set(costs.names())
    with pytest.raises(InputError, match=f"'guessed' is not a cost model; there are {', '.join(costs.names())}"):
        costs.get("guessed")


@pytest.mark.parametrize("cost", [None, {"model": "paper"}])
def test_paper_is_work_over_cores_times_clock(cost):
    assert device(cost).layer_time_s(BLOCK) == pytest.approx(4.4e6 / 4e9)


@pytest.mark.parametrize(
    ("by_kind", "seconds"),
    [
        ({"block": 1.0}, 4.4e6 / 2e9),
        ({"conv2d_depthwise": 0.1}, 4e6 / 4e9 + 4e5 / 2e8),
        ({"conv2d_depthwise": 0.1, "block": 1.0}, 4e6 / 2e9 + 4e5 / 2e8),
        ({"linear": 5.0}, 4.4e6 / 4e9),
    ],
)
def test_papers_rate_is_that_of_the_operation_then_of_the_layer_then_of_the_device(by_kind, seconds):
    assert device(ops_per_cycle_by_kind=by_kind).layer_time_s(BLOCK) == pytest.approx(seconds)


def test_paper_takes_a_layer_whose_parts_nobody_wrote_down_by_its_own_kind():
    assert device(ops_per_cycle_by_kind={"conv2d_depthwise": 0.1}).layer_time_s(without_work(BLOCK)) == pytest.approx(4.4e6 / 4e9)


def test_calibrated_is_a_line_a_kind_summed():
    expected = (1e-4 + 4e-3 + 2e-6) + 2 * 1e-3 + 1e-5  # a dense one, two of a kind that nobody measured, three cheap ones
    assert device(CALIBRATED).layer_time_s(BLOCK) == pytest.approx(expected)
    assert device(CALIBRATED).layer_time_s(layer()) == 0.0


def test_scaled_stretches_computing_and_moving_apart():
    """8e6 MACs take this machine 1 ms and 4e6 bytes take it 1 ms: half each; there 4 times and twice as long."""
    both = layer(("linear", 1, 8_000_000, 4_000_000), t_local_s=0.5)
    assert device(SCALED).layer_time_s(both) == pytest.approx(0.25 * 4 + 0.25 * 2)
    assert device(SCALED).layer_time_s(layer(("elementwise", 1, 0, 4_000_000), t_local_s=0.5)) == pytest.approx(1.0)
    assert device(SCALED).layer_time_s(layer(("view", 1, 0, 0), t_local_s=0.5)) == pytest.approx(2.0)


def test_measured_is_what_was_measured():
    assert device({"model": "measured"}).layer_time_s(layer(t_local_s=0.25)) == 0.25


@pytest.mark.parametrize("cost", [CALIBRATED, SCALED], ids=["calibrated", "scaled"])
def test_a_profile_that_does_not_say_what_layers_do_is_refused(cost):
    with pytest.raises(InputError, match=r"^box: nothing says what layer 'l' does by kind of operation"):
        device(cost).layer_time_s(without_work(BLOCK))


@pytest.mark.parametrize("cost", [{"model": "measured"}, SCALED], ids=["measured", "scaled"])
def test_times_that_nobody_measured_are_missed(cost):
    with pytest.raises(InputError, match=r"^local: layer 'l' has no measured time; make a profile with"):
        device(cost).layer_time_s(BLOCK)


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({"model": "magic"}, r"cost\.model: got 'magic', expected one of calibrated, measured, paper, scaled"),
        ({}, r"cost\.model: got None, expected one of"),
        (3, "cost: expected an object with the key 'model'"),
        (CALIBRATED | {"kinds": {}}, r"cost\.kinds: is empty"),
        (CALIBRATED | {"kinds": {"conv2d": LINES["conv2d"] | {"s_per_mac": -1.0}}},
         r"cost\.kinds\.conv2d\.s_per_mac: got -1\.0, expected greater than or equal to 0"),
        (CALIBRATED | {"speed": 1}, r"cost\.speed: is not a key"),
        ({"model": "scaled"}, r"cost\.here: is missing; cost\.there: is missing"),
        ({"model": "measured", "kinds": {}}, r"cost\.kinds: is not a key"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_model_is_named_with_its_path(tmp_path, cost, message):
    (tmp_path / "bad.json").write_text(json.dumps(device().to_dict() | {"cost": cost}))
    with pytest.raises(InputError, match=r"bad\.json: .*" + message):
        load_device(tmp_path / "bad.json")


@pytest.mark.parametrize("cost", [None, {"model": "paper"}, {"model": "measured"}, CALIBRATED, SCALED])
def test_a_device_with_a_model_reads_back_equal(tmp_path, cost):
    found = device(cost, rates={"macs_per_s": 1e9, "bytes_per_s": 1e9})
    found.save(tmp_path / "box.json")
    assert load_device(tmp_path / "box.json") == found
    assert ("cost" in found.to_dict()) == (cost is not None)


def test_an_instance_takes_its_times_from_each_devices_model():
    data = profile_data()
    data["layers"][0]["work"] = []
    profile = NetworkProfile.from_dict(data)
    found = Instance.from_profile(profile, edge=device(CALIBRATED), server=device({"model": "measured"}))
    assert [v.t_edge_s for v in found.layers] == [0.0, 2e-3]  # a view and a product, of kinds that nobody measured
    assert [v.t_server_s for v in found.layers] == [v.t_local_s for v in profile.layers]


@pytest.mark.parametrize(("cost", "needed"), [(None, False), (CALIBRATED, False), (SCALED, True), ({"model": "measured"}, True)])
def test_local_times_are_needed_by_models_that_go_by_them(tmp_path, cost, needed):
    device(cost).save(tmp_path / "box.json")
    assert needs_local_times(load_source("alexnet"), Options(edge=str(tmp_path / "box.json"))) is needed
    assert needs_local_times(load_source("alexnet"), Options(server=str(tmp_path / "box.json"))) is needed
