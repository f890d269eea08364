"""`lmos calibrate`, on a few micro-benchmarks; all of them are run by the benchmark and by docs."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt.costs.calibrated import Calibrated
from lmos_opt.costs.scaled import Scaled
from lmos_opt.device import Device, load_device
from lmos_opt.sources import load_source
from measurement.calibration import this_machine
from measurement.calibration.microbenchmarks import benchmark_series
from measurement.timing import timed_profile


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    chosen = {"inverted-14", "dense-14", "attention-whole-49-384", "classifier-1280"}
    few = {name: [part for part in parts if part.name in chosen] for name, parts in benchmark_series().items()}
    monkeypatch.setattr(this_machine, "benchmark_series", lambda: few)
    monkeypatch.setattr(this_machine, "timed_profile", partial(timed_profile, rest_s=0.001))
    # How well it measures is for the benchmark to say.
    return tmp_path


def test_a_device_file_of_this_machine_that_any_network_can_be_put_on(capsys):
    assert main(["calibrate", "-o", "here.json", "--budget", "0.1s", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert "conv2d_depthwise" in out
    assert "off by" in out
    device = load_device("here.json")
    assert isinstance(device, Device)
    assert isinstance(device.cost, Calibrated)
    assert {"conv2d", "conv2d_1x1", "conv2d_depthwise", "norm", "max_pool", "attention", "linear"} <= set(device.cost.kinds)
    assert device.cost.held_out is not None
    assert device.cost.held_out.groups == 4
    assert {what for source in device.sources for what in source.what.split(", ")} == {
        "cost", "cores", "hz", "ops_per_cycle", "rates", "memory_bytes", "power"}  # fmt: skip
    assert "1 thread " in device.description
    assert device.rates is not None
    assert device.cores * device.hz * device.ops_per_cycle == pytest.approx(device.rates.macs_per_s)
    if device.power is None:
        assert "no powers in here.json: " in err
    # blocks take what their parts take, so a network takes as long however its layers are counted
    paper, module = (sum(device.layer_time_s(layer) for layer in load_source(name).layers)
                     for name in ("mobilenet_v2", "mobilenet_v2.module"))  # fmt: skip
    assert paper == pytest.approx(module, rel=1e-9)
    assert paper > 0
    program = ("import sys; from lmos.cli import main; main(['front', 'vgg19', '--edge', 'here.json', '--json']); "
               "print('torch' in sys.modules, 'sklearn' in sys.modules, file=sys.stderr)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert '"points"' in done.stdout
    assert done.stderr.splitlines()[-1] == "False False"


def test_another_machine_by_the_ratio_of_rates(capsys):
    box = load_device("rpi5").model_copy(update={"name": "box", "rates": load_rates(1e9, 2e9)})
    box.save("box.json")
    assert main(["calibrate", "-o", "scaled.json", "--scale-to", "box.json"]) == 0
    device = load_device("scaled.json")
    assert isinstance(device, Device)
    assert isinstance(device.cost, Scaled)
    assert device.cost.there == box.rates
    assert device.needs_local_times


def load_rates(macs_per_s: float, bytes_per_s: float) -> this_machine.Rates:
    return this_machine.Rates(macs_per_s=macs_per_s, bytes_per_s=bytes_per_s)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["-o", "here.csv"], "expected .json"), (["-o", "here.json", "--budget", "0s"], "no time to measure in"),
     (["-o", "here.json", "--scale-to", "rpi5"], "rpi5: holds no 'rates'"),
     (["-o", "here.json", "--scale-to", "local"], "is no device file")],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(capsys, arguments, message):
    assert main(["calibrate", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("here.json").exists()


def test_micro_benchmarks_cover_the_kinds_that_networks_are_made_of():
    networks = ("vgg19", "mobilenet_v2", "resnet50", "googlenet", "vit_b_16", "efficientnet_b0", "resnext50_32x4d")
    kinds = {work.kind for name in networks
             for layer in load_source(name).layers for work in layer.work or ()}  # fmt: skip
    import torch

    from measurement.profiling import profile_network

    found = set()
    for parts in benchmark_series().values():
        for part in parts:
            if part.name.rpartition("-")[2] in {"14", "stem7", "49", "197", "384", "1280"}:
                profile = profile_network(part.build(), torch.zeros(part.shape))
                found |= {work.kind for layer in profile.layers for work in layer.work or ()}
    assert kinds <= found
