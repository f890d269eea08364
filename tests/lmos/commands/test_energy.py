"""Energy with a bundled device whose powers one study measured, beside sums made by hand."""

from __future__ import annotations

import json

import pytest

from lmos.cli import main
from lmos_opt.data import bundled_names
from lmos_opt.device import load_device
from lmos_opt.sources import Options, instance_of, load_source

IDLE_W = 1.5778 + 0.942
"""PowerPi: the board, and Wi-Fi that does nothing."""


def test_the_powers_are_what_the_studys_model_gives_at_10_mbps():
    power = load_device("rpi1b").power
    assert power is not None
    assert power.model_dump() == pytest.approx(
        {"compute_w": IDLE_W + 0.181, "transmit_w": IDLE_W + 0.064 + 10 * 4.813e-3, "idle_w": IDLE_W})  # fmt: skip


def test_a_front_of_latency_and_energy(capsys):
    assert main(["front", "alexnet", "--edge", "rpi1b", "--rtt", "20ms", "--objectives", "latency,energy", "--json"]) == 0
    front = json.loads(capsys.readouterr().out)
    assert front["points"]
    instance = instance_of(load_source("alexnet"), Options(edge="rpi1b", rtt="20ms"))
    for point in front["points"]:
        edge = frozenset(point["edge_layers"])
        t_edge = sum(layer.t_edge_s for layer in instance.layers if layer.name in edge)
        t_server = sum(layer.t_server_s for layer in instance.layers if layer.name not in edge)
        sent = sum(instance.tensor_bytes(name) for name in instance.crossing(edge)) / 1.25e6
        rtt = 0.02 if len(edge) < len(instance.layers) else 0.0
        energy = (IDLE_W + 0.181) * t_edge + (IDLE_W + 0.11213) * sent + IDLE_W * (t_server + rtt)
        assert point["values"]["energy"] == pytest.approx(energy, rel=1e-9)
    first = front["points"][0]
    assert first["edge_layers"] == ["features.0", "features.1", "features.2"]  # a convolution to 64x55x55, pooled to 64x27x27
    macs = 64 * 3 * 11 * 11 * 55 * 55
    by_hand = ((IDLE_W + 0.181) * macs / 0.7e9 + (IDLE_W + 0.11213) * 4 * 64 * 27 * 27 / 1.25e6
               + IDLE_W * ((714_188_480 - macs) / 12e9 + 0.02))  # fmt: skip
    assert first["values"]["energy"] == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in bundled_names("devices") if load_device(name).power is None])
def test_a_device_without_powers_is_named(capsys, name):
    assert main(["front", "alexnet", "--edge", name, "--objectives", "latency,energy"]) == 2
    err = capsys.readouterr().err
    assert f"lmos: {name}: the objective energy needs the edge device's powers" in err
    assert "--power COMPUTE,TRANSMIT,IDLE gives them" in err


def test_powers_from_the_command_line_are_the_first_places(capsys):
    path = ("--path", "jetson-orin-nano-cpu > 20Mbps > rpi4 > 1Gbps > i7-8700")
    assert main(["plan", "alexnet", *path, "--power", "6,4W,1", "--select", "cut:9,12", "--objectives", "energy", "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)["predicted"]
    waits = sum(predicted[key] for key in ("t_place_2_s", "t_hop_2_s", "t_place_3_s"))
    assert predicted["energy"] == pytest.approx(6 * predicted["t_place_1_s"] + 4 * predicted["t_hop_1_s"] + waits)
    for text in ("6,4", "6,4,x", "6,4,-1", "6,4,nan"):
        assert main(["front", "alexnet", "--power", text, "--objectives", "latency,energy"]) == 2
        assert f"--power: '{text}' is not COMPUTE,TRANSMIT,IDLE in watts" in capsys.readouterr().err
