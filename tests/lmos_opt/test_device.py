import json

import pytest

from lmos_opt.data import bundled_names, data_dir
from lmos_opt.device import Device, load_device
from lmos_opt.errors import InputError
from lmos_opt.link import Link, load_link
from lmos_opt.profile import NetworkProfile


@pytest.mark.parametrize("name", bundled_names("devices"))
def test_every_bundled_device_reads_and_sources_every_number(name):
    device = load_device(name)
    assert isinstance(device, Device)
    assert device.name == name
    sourced = ",".join(source.what for source in device.sources)
    numbers = ["cores", "hz", "ops_per_cycle"] + ["memory_bytes"] * (device.memory_bytes is not None)
    assert [number for number in numbers if number not in sourced] == []
    assert (device.power is None) == ("power" not in sourced)


@pytest.mark.parametrize(
    ("name", "cores", "hz", "memory"),
    [
        ("rpi4-literal", 4, 1.5e9, 4e9),
        ("rpi4-table1", 2, 1.5e9, 4e9),
        ("paper-server", 8, 1.5e9, 8e9),
        ("paper-server-table1", 8, 2.6e9, 8e9),
    ],
)
def test_the_papers_devices(name, cores, hz, memory):
    device = load_device(name)
    assert (device.cores, device.hz, device.ops_per_cycle, device.memory_bytes) == (cores, hz, 1.0, memory)


@pytest.mark.parametrize("granularity", ["", ".module"])
@pytest.mark.parametrize(("network", "seconds"), [("vgg19", 12.39), ("mobilenet_v2", 1.3)])
def test_the_edge_is_as_fast_as_the_paper_measured_it(network, seconds, granularity):
    """Table 4: VGG19 without a split and MobileNetV2, whole on the Pi; however the layers are counted."""
    profile = NetworkProfile.load(data_dir() / "profiles" / f"{network}{granularity}.json")
    device = load_device("rpi4")
    assert sum(device.layer_time_s(layer) for layer in profile.layers) == pytest.approx(seconds, rel=0.001)


def test_networks_of_dense_layers_go_by_the_one_rate_that_vgg19_gave():
    """Twice the work takes twice as long: no number of MobileNetV2's touches them."""
    device = load_device("rpi4")
    for network in ("alexnet", "vgg13", "vgg16", "resnet50"):
        profile = NetworkProfile.load(data_dir() / "profiles" / f"{network}.json")
        seconds = sum(device.layer_time_s(layer) for layer in profile.layers)
        assert seconds == pytest.approx(12.39 * profile.total_macs / 19_632_062_464, rel=1e-4)


def test_an_unknown_device_lists_the_known():
    with pytest.raises(InputError, match="rpi4") as caught:
        load_device("rpi44")
    assert "paper-server" in str(caught.value)


@pytest.mark.parametrize("name", bundled_names("links"))
def test_every_bundled_link_reads_and_sources_every_number(name):
    link = load_link(name)
    assert link.name == name
    sourced = ",".join(source.what for source in link.sources)
    assert "bandwidth_bytes_per_s" in sourced
    assert (link.rtt_s is None) == ("rtt_s" not in sourced)


def test_the_papers_link_is_10_mbps():
    assert (load_link("paper-wifi").bandwidth_bytes_per_s, load_link("paper-wifi").rtt_s) == (1.25e6, 0.0)


def test_a_link_is_itself_or_a_file_and_reads_back_equal(tmp_path):
    link = load_link("lte")
    assert load_link(link) is link
    link.save(tmp_path / "mine.json")
    assert load_link(tmp_path / "mine.json") == link


@pytest.mark.parametrize(
    ("change", "path"),
    [({"bandwidth_bytes_per_s": 0.0}, "bandwidth_bytes_per_s"), ({"rtt_s": -1.0}, "rtt_s"),
     ({"sources": []}, "sources"), ({"rate": 1.0}, "rate"),
     ({"bandwidth_interval_bytes_per_s": [2e6, 3e6]}, "bandwidth_interval_bytes_per_s: got 2000000.0 to 3000000.0"),
     ({"rtt_s": None, "rtt_interval_s": [0.0, 1.0]}, "rtt_interval_s: .* the value None does not lie there")],
)  # fmt: skip
def test_a_bad_link_is_refused_with_its_path(change, path):
    with pytest.raises(InputError, match=path):
        Link.from_dict(load_link("lte").to_dict() | change)


def test_an_unknown_link_lists_the_known():
    with pytest.raises(InputError, match="paper-wifi"):
        load_link("carrier-pigeon")


@pytest.mark.parametrize("folder", ["devices", "links", "profiles", "weights", "pictures", "labels"])
def test_every_folder_of_data_says_where_it_comes_from(folder):
    text = (data_dir() / folder / "README.md").read_text().lower()
    assert "licence" in text
    assert all(json.loads(path.read_text()) for path in (data_dir() / folder).glob("*.json"))


@pytest.mark.parametrize(("name", "macs_per_s"), [("t4-peak", 8.1e12 / 2), ("jetson-nano-gpu-peak", 236e9 / 2),
                                                  ("jetson-orin-nano-gpu-peak", 1.28e12 / 2)])  # fmt: skip
def test_a_gpu_at_its_peak_is_called_a_bound(name, macs_per_s):
    device = load_device(name)
    assert isinstance(device, Device)
    assert device.cores * device.hz * device.ops_per_cycle == pytest.approx(macs_per_s, rel=0.001)
    assert "a bound" in device.description
