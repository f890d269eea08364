"""`--scenarios`: objectives over them from a file, in fronts, plans and programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt import Front, Plan

EVENING = {"schema": "lmos.scenarios/1", "scenarios": [
    {"weight": 6, "bandwidth": [1.0]}, {"weight": 3, "bandwidth": [0.4]}, {"weight": 1, "bandwidth": [0.05]}]}  # fmt: skip


@pytest.fixture
def evening(tmp_path: Path) -> str:
    file = tmp_path / "evening.json"
    file.write_text(json.dumps(EVENING))
    return str(file)


def test_a_front_over_scenarios_is_that_of_the_bandwidth_that_enough_of_them_reach(evening: str, tmp_path: Path) -> None:
    over, at = tmp_path / "over.json", tmp_path / "at.json"
    asked = ["--scenarios", evening, "--objectives", "latency@p90,memory", "--select", "knee", "-o", str(over)]
    assert main(["front", "alexnet", *asked]) == 0
    assert main(["front", "alexnet", "--bandwidth", "4Mbps", "-o", str(at)]) == 0
    points = [[*p.values.values()] for p in Front.load(over).points]
    assert points == [[*p.values.values()] for p in Front.load(at).points]


def test_a_plan_is_chosen_over_them(evening: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    asked = ["--scenarios", evening, "--objectives", "latency@worst,memory", "--select", "min_latency", "-o", str(file)]
    assert main(["plan", "alexnet", *asked]) == 0
    assert main(["plan", "alexnet", "--bandwidth", "500kbps", "--select", "min_latency", "-o", str(tmp_path / "slow.json")]) == 0
    assert Plan.load(file).edge_layers == Plan.load(tmp_path / "slow.json").edge_layers


@pytest.mark.parametrize(("arguments", "line"), [
    (["--objectives", "latency@p95,memory"], "objective latency@p95: alexnet has no scenarios; expected some"),
    (["--objectives", "latency@p0,memory"], "latency@p0: 'p0' is no measure of scenarios; expected pNN, cvarNN, mean, worst"),
    (["--objectives", "memory@p95,latency"], "memory@p95: memory is the same in all scenarios"),
    (["--objectives", "energy@p95,memory", "--edge", "raspberry-pi-3b"], "raspberry-pi-3b"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "alexnet", *arguments]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1


def test_scenarios_of_another_path_are_refused(evening: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = "rpi4 > 20Mbps > jetson-orin-nano-cpu > 1Gbps > i7-8700"
    assert main(["front", "alexnet", "--path", path, "--scenarios", evening, "--objectives", "latency@p95,memory"]) == 2
    assert "scenarios[0].bandwidth: has 1 factor; expected 2, one for each hop" in capsys.readouterr().err
