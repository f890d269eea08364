"""Plans over several places, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt.plan import Plan

PATH = "rpi4 > 20Mbps,5ms > jetson-orin-nano-cpu > 1Gbps,1ms > i7-8700"


def test_a_plan_over_three_places_is_written_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "vgg19", "--path", PATH, "--select", "cut:5,20", "-o", str(file)]) == 0
    shown = capsys.readouterr().out
    for part in ("place 2, jetson-orin-nano-cpu", "15 layers, features.5 to features.19", "crosses hop 2", "t_place_3_s"):
        assert part in shown
    assert json.loads(file.read_text())["schema"] == "lmos.plan/2"
    assert Plan.load(file).counts == (5, 15, 24)


def test_a_plan_over_three_places_may_have_a_codec(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "vgg19", "--path", PATH, "--select", "cut:5,20", "--codec", "fp16", "-o", str(file)]) == 0
    plan = Plan.load(file)
    assert plan.codec == "fp16"
    assert all(tensor.wire_bytes == tensor.bytes // 2 for hop in plan.hops for tensor in hop)
