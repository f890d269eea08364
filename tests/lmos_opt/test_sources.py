"""From what a user names to an instance: bundled networks, profile and instance files, options over both."""

from __future__ import annotations

import json
import os

import pytest

from lmos_opt import InputError, Instance, NetworkProfile
from lmos_opt.data import bundled_names
from lmos_opt.sources import Options, instance_of, load_source, needs_local_times
from tests.lmos_opt.documents import chain_data, instance_data, layer, profile_data

POWER = {"compute_w": 4.0, "transmit_w": 2.0, "idle_w": 1.0}


@pytest.fixture
def instance() -> Instance:
    """A layer of 1.2e9 MACs and one of none, with the edge's power."""
    return Instance.from_dict(instance_data(layer("a", "input", macs=1.2e9), layer("b", "a", macs=0), power=POWER))


@pytest.mark.parametrize("name", ["alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2", "resnet18"])
def test_a_bundled_network_by_name(name):
    found = load_source(name)
    assert isinstance(found, NetworkProfile)
    assert found.name == name


def test_files_are_told_apart_by_their_schema(tmp_path):
    for name, data in (("i.json", chain_data()), ("p.json", profile_data()), ("without-suffix", chain_data())):
        (tmp_path / name).write_text(json.dumps(data))
    assert load_source(tmp_path / "i.json") == load_source(tmp_path / "without-suffix") == Instance.from_dict(chain_data())
    assert load_source(str(tmp_path / "p.json")) == NetworkProfile.from_dict(profile_data())


def test_a_pipe_is_a_file(tmp_path):
    read, write = os.pipe()
    os.write(write, json.dumps(chain_data()).encode())
    os.close(write)
    assert load_source(f"/dev/fd/{read}") == Instance.from_dict(chain_data())
    os.close(read)


def test_a_folder_does_not_hide_a_bundled_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vgg19").mkdir()
    assert load_source("vgg19").name == "vgg19"


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_is_called_one(name):
    with pytest.raises(InputError, match="is a folder; expected a file, or a bundled network; bundled are "):
        load_source(name)


@pytest.mark.parametrize("name", ["vgg20", "", "../profiles/vgg19"])
def test_an_unknown_name_lists_the_known(name):
    with pytest.raises(InputError, match="is neither a file nor a bundled network; bundled are ") as caught:
        load_source(name)
    assert all(known in str(caught.value) for known in bundled_names("profiles"))


@pytest.mark.parametrize("data", [{}, {"schema": "lmos.plan/1"}, {"schema": ["lmos.instance/1"]}, [], 3, "x", None])
def test_another_schema_names_the_two_that_are_expected(tmp_path, data):
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"x\.json: .*expected .*'lmos.instance/1' or 'lmos.instance/2' or 'lmos.profile/1'"):
        load_source(tmp_path / "x.json")


def test_an_instance_without_options_is_itself(instance):
    assert instance_of(instance, Options()) is instance


def test_options_override_an_instances_own(instance):
    found = instance_of(instance, Options(bandwidth="20Mbps", rtt="20ms", memory="1GB"))
    assert (found.bandwidth_bytes_per_s, found.rtt_s, found.memory_limit_bytes) == (2.5e6, 0.02, 10**9)
    assert (found.layers, found.power) == (instance.layers, instance.power)


@pytest.mark.parametrize("source", [NetworkProfile.from_dict(profile_data()), Instance.from_dict(chain_data())])
def test_a_link_stands_where_its_numbers_are_not_given(source):
    """LTE, as bundled: 12 Mbit/s, 70 ms."""
    def numbers(**options):
        found = instance_of(source, Options(**options))
        return found.bandwidth_bytes_per_s, found.rtt_s

    assert numbers(link="lte") == (1.5e6, 0.07)
    assert numbers(link="lte", bandwidth="20Mbps") == (2.5e6, 0.07)
    assert numbers(link="lte", rtt="1ms") == (1.5e6, 0.001)
    assert numbers(link="ethernet-100") == (1.25e7, 0.0)  # its round trip is not known
    with pytest.raises(InputError, match="neither a file nor a bundled link"):
        numbers(link="")


def test_a_device_gives_its_side_other_times(instance):
    """1.2e9 MACs on 4 cores at 1.5 GHz: 0.2 s; on 8: 0.1 s."""
    edge = instance_of(instance, Options(edge="rpi4-literal"))
    assert [(v.t_edge_s, v.t_server_s) for v in edge.layers] == [(0.2, 0.125), (0.0, 0.125)]
    assert edge.power != instance.power  # the powers are the new device's
    server = instance_of(instance, Options(server="paper-server"))
    assert [(v.t_edge_s, v.t_server_s) for v in server.layers] == [(0.5, 0.1), (0.5, 0.0)]
    assert server.power == instance.power
    assert [v.extra for v in edge.layers] == [v.extra for v in instance.layers]


@pytest.mark.parametrize("options", [Options(edge="rpi4"), Options(server="paper-server"), Options(edge="rpi4", server="rpi4")])
def test_a_device_needs_to_know_the_work(options):
    instance = Instance.from_dict(chain_data())
    with pytest.raises(InputError, match=r"layer 'a' of the instance file has no number 'macs'.*leave out --edge and --server"):
        instance_of(instance, options)


def test_negative_work_is_refused_with_its_layer():
    instance = Instance.from_dict(instance_data(layer("a", "input", macs=-1.2e9)))
    with pytest.raises(InputError, match=r"layers\[0\]\.t_edge_s: got -0\.2, expected greater than or equal to 0"):
        instance_of(instance, Options(edge="rpi4-literal"))


def test_numbers_alone_were_not_measured_here(instance):
    with pytest.raises(InputError, match=r"^local: layer 'a' has no measured time"):
        instance_of(instance, Options(edge="local"))


def test_a_profile_under_options_is_from_profile():
    profile = NetworkProfile.from_dict(profile_data())
    assert instance_of(profile, Options()) == Instance.from_profile(profile)
    options = Options("rpi5", "local", "20Mbps", "5ms", "1GB")
    assert instance_of(profile, options) == Instance.from_profile(
        profile, edge="rpi5", server="local", bandwidth="20Mbps", rtt="5ms", memory="1GB")  # fmt: skip


@pytest.mark.parametrize("option", ["edge", "server", "bandwidth", "rtt", "memory"])
@pytest.mark.parametrize("source", [NetworkProfile.from_dict(profile_data()), Instance.from_dict(chain_data())])
def test_an_empty_option_is_refused_and_not_taken_for_the_default(source, option):
    with pytest.raises(InputError):
        instance_of(source, Options(**{option: ""}))


def test_only_an_untimed_profile_has_to_be_timed():
    timed = NetworkProfile.from_dict(profile_data())
    untimed = load_source("alexnet")
    assert needs_local_times(untimed, Options(edge="local"))
    assert needs_local_times(untimed, Options(server="local"))
    assert not needs_local_times(untimed, Options())
    assert not needs_local_times(timed, Options(edge="local"))
    assert not needs_local_times(Instance.from_dict(chain_data()), Options(edge="local"))
