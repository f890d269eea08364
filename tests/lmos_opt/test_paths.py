"""Paths as text: what is wrong is said of the part that is wrong."""

from __future__ import annotations

import pytest

from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.data import bundled
from lmos_opt.paths import HopOptions, Path, parse_path
from lmos_opt.profile import NetworkProfile, Timing
from tests.lmos_opt.documents import path_data, placed, profile_data


def test_a_path_is_devices_and_hops_in_turn():
    found = parse_path(" rpi4 > 20Mbps , 5ms>jetson-orin-nano-cpu > 1Gbps,1ms,100Mbps > i7-8700 ")
    assert found.devices == ("rpi4", "jetson-orin-nano-cpu", "i7-8700")
    assert found.hops == (HopOptions("20Mbps", "5ms"), HopOptions("1Gbps", "1ms", "100Mbps"))
    assert parse_path(found) is found
    profile = NetworkProfile.from_dict(profile_data())
    assert Instance.from_profile(profile, path="rpi4 > 20Mbps > rpi4 > 1Gbps > i7-8700") == Instance.from_profile(
        profile, path=Path(("rpi4", "rpi4", "i7-8700"), (HopOptions(2.5e6), HopOptions(1.25e8))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rpi4", "path: 'rpi4' is not a path; expected devices with hops between them, such as 'rpi4 > 20Mbps,5ms > "),
        ("", "path: '' is not a path"),
        ("rpi4 > 20Mbps", "ends with hop 1, '20Mbps'; expected a device after it"),
        ("rpi4 > 20Mbps > i7-8700 > 1Gbps", "ends with hop 2, '1Gbps'; expected a device after it"),
        ("rpi4 > 20Mbps > ", "place 2 of 'rpi4 > 20Mbps > ' is empty; expected a device"),
        (" > 20Mbps > rpi4", "place 1 of ' > 20Mbps > rpi4' is empty; expected a device"),
        ("rpi4 >> i7-8700", "hop 1 of 'rpi4 >> i7-8700' is empty; expected RATE or RATE,RTT"),
        ("rpi4 > 20 > i7-8700", "hop 1, '20': bandwidth: '20' is not a rate; expected a number with a unit"),
        ("rpi4 > 1Gbps > rpi4 > 20Mbps,soon > i7-8700", "hop 2, '20Mbps,soon': rtt: 'soon' is not a time"),
        ("rpi4 > 20Mbps,5ms,x > i7-8700", "hop 1, '20Mbps,5ms,x': back: 'x' is not a rate"),
        ("rpi4 > 20Mbps,,1Mbps > i7-8700", "hop 1, '20Mbps,,1Mbps': expected RATE, RATE,RTT or RATE,RTT,BACK"),
        ("rpi4 > 1Mbps,1ms,1Mbps,4 > i7-8700", "hop 1, '1Mbps,1ms,1Mbps,4': expected RATE"),
        ("rpi4 > i7-8700", "hop 1, 'i7-8700': bandwidth: 'i7-8700' is not a rate"),
        ("rpi4 > i7-8700 > 20Mbps", "hop 1, 'i7-8700': bandwidth: 'i7-8700' is not a rate"),
        ("rpi4 > 20Mbps > abacus", "place 2, 'abacus': abacus: is neither a file nor a bundled device"),
        (["rpi4", "i7-8700"], "path: got ['rpi4', 'i7-8700']; expected text such as"),
    ],
)
def test_the_wrong_part_of_a_path_is_named(text, message):
    with pytest.raises(InputError) as caught:
        Instance.from_profile(NetworkProfile.from_dict(profile_data()), path=text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("places",), [{"name": "a", "memory_limit_bytes": None}], "places: has 1 place; expected two or more"),
        (("hops",), [], "hops: has 0 hops; expected 2, one between each place and the next"),
        (("hops", 1, "bandwidth_bytes_per_s"), float("nan"), "hops[1].bandwidth_bytes_per_s: got nan, expected a finite number"),
        (("places", 1, "memory_limit_bytes"), -5, "places[1].memory_limit_bytes: got -5"),
        (("layers", 0, "t_s"), [1.0, 2.0], "layers[0].t_s: has 2 times; expected 3, one for each place"),
        (("layers", 0, "t_s"), [1.0, -2.0, float("nan")], "layers[0].t_s[1]: got -2.0"),
        (("together",), [["a", "b"]], "together[0][1]: 'b' names no layer"),
        (("memory_limit_bytes",), 5, "memory_limit_bytes: is not a key of this schema"),
    ],
)
def test_a_wrong_file_of_places_is_one_line_with_the_path_inside(path, value, message):
    data = path_data(placed("a", "input", t=(1.0, 2.0, 3.0)))
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(InputError) as caught:
        Instance.from_dict(data, "toy.json")
    assert str(caught.value).startswith("toy.json: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_file_of_places_lacks_is_named():
    for key, message in (("hops", "hops: is missing"), ("inputs", "inputs: is missing")):
        data = path_data(placed("a", "input", t=(1.0, 2.0, 3.0)))
        del data[key]
        with pytest.raises(InputError, match=message):
            Instance.from_dict(data, "toy.json")
    data = path_data(placed("a", "input", t=(1.0, 2.0, 3.0)))
    del data["layers"][0]["t_s"]
    with pytest.raises(InputError, match=r"layers\[0\].t_s: is missing"):
        Instance.from_dict(data, "toy.json")


def test_one_hop_or_place_changes_alone():
    path = Instance.from_dict(path_data(placed("a", "input", t=(1.0, 2.0, 3.0))))
    moved = path.with_hop(2, bandwidth_bytes_per_s=5.0).with_place(3, memory_limit_bytes=7)
    assert [hop.bandwidth_bytes_per_s for hop in moved.hops] == [1e6, 5.0]
    assert [place.memory_limit_bytes for place in moved.places] == [None, None, 7]
    for change in (lambda: path.with_hop(3, rtt_s=1.0), lambda: path.with_place(0, memory_limit_bytes=1)):
        with pytest.raises(InputError, match="expected 1 to"):
            change()


def _timed_on_a_gpu(memory_bytes):
    profile = NetworkProfile.load(bundled("profiles", "squeezenet1_1", "network"))
    layers = tuple(layer.model_copy(update={"t_local_s": 1e-5}) for layer in profile.layers)
    timing = Timing(torch="2.11.0", engine="torch:cuda", engine_precision="float16", device="NVIDIA T4", memory_bytes=memory_bytes)
    return profile.model_copy(update={"layers": layers, "timing": timing})


def test_a_device_s_own_memory_is_the_limit_of_its_place(tmp_path):
    free = Instance.from_profile(_timed_on_a_gpu(None), edge="rpi4", server="local", bandwidth="1Gbps")
    limit = sum(layer.weight_bytes + layer.output_bytes for layer in free.layers) // 2
    profile = _timed_on_a_gpu(limit)
    profile.save(tmp_path / "gpu.json")
    here, there = (Instance.from_profile(profile, edge="rpi4", server=server, bandwidth="1Gbps")
                   for server in ("local", tmp_path / "gpu.json"))  # fmt: skip
    assert [[place.memory_limit_bytes for place in one.places] for one in (here, there)] == [[None, limit]] * 2
    assert _fastest(free).edge_layers == ()
    behind = set(here.names) - set(_fastest(here).edge_layers)
    assert 0 < sum(here.layer(name).weight_bytes + here.layer(name).output_bytes for name in behind) <= limit
    assert Instance.from_profile(profile, edge="local", server="local", memory="1GB").memory_limit_bytes == 10**9
    scaled = Instance.from_profile(profile, edge="local", server="i7-8700")
    assert [place.memory_limit_bytes for place in scaled.places] == [limit, None]


def _fastest(instance):
    return min(pareto_front(instance).points, key=lambda point: point.values["latency"])


def test_what_each_place_s_times_were_measured_with_is_said():
    profile = _timed_on_a_gpu(None)
    assert Path.of_two("rpi4", "local").timed_with(profile) == ("a cost model", "torch:cuda float16 on NVIDIA T4, torch 2.11.0")
    assert Path.of_two("rpi4", "i7-8700").timed_with(profile) == ()
