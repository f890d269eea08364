"""`lmos profile --fidelity`, `--codec any` and `lmos fidelity`: from one's own inputs to a split whose loss is checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lmos.cli import main
from lmos_opt import NetworkProfile, Plan
from tests.runner.running import BRANCHED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile with losses on the file of arrays beside it."""
    found = tmp_path_factory.mktemp("fidelity")
    rng = np.random.default_rng(0)
    np.savez(found / "some.npz", input=rng.standard_normal((8, 3, 8, 8)).astype(np.float32), labels=np.arange(8))
    assert main(["profile", BRANCHED, "--input", "3x8x8", "--fidelity", str(found / "some.npz"), "--codec", "int4",
                 "--codec", "zint:2", "-n", "3", "--seed", "7", "-o", str(found / "net.json")]) == 0
    return found


def test_losses_are_measured_into_the_profile(folder):
    found = NetworkProfile.load(folder / "net.json")
    about = found.fidelity.calibration
    assert (about.criterion, about.inputs, about.seed, about.part, about.complete) == ("labels", 3, 7, "calibration", True)
    assert about.of == f"8 items of {folder / 'some.npz'}"
    assert set(found.fidelity.losses) == set(found.codecs) == {"int4", "zint:2"}
    assert found.codecs["zint:2"].about["images"].startswith("3: 3 of 8 items")


def test_the_search_chooses_codecs_where_losses_are_asked_for(folder, capsys):
    net, plan = str(folder / "net.json"), folder / "plan.json"
    slow = ["--bandwidth", "100kbps", "--edge", "rpi1b", "--server", "i7-8700"]
    for asked in (["--at-most", "fidelity_loss=100%"], ["--codec", "any"], ["--objectives", "latency,fidelity_loss"]):
        assert main(["plan", net, "--select", "cut:2", *slow, *asked, "-o", str(plan)]) == 0
        made = Plan.load(plan)
        assert made.predicted["fidelity_loss"] >= 0
        assert made.calibration.seed == 7
    assert main(["front", net, *slow, "--at-most", "fidelity_loss=100%", "--objectives",
                 "tx_bytes,footprint", "--json"]) == 0
    out = capsys.readouterr().out
    points = json.loads(out[out.index("{"):])["points"]
    assert any(codec in ("int4", "zint:2") for point in points for codec in (point["codecs"] or {}).values())
    assert main(["plan", net, "--select", "knee", "--codec", "any", "--codec", "int8"]) == 2
    assert "any stands beside int8" in capsys.readouterr().err
    assert main(["front", "alexnet", "--at-most", "fidelity_loss=1%"]) == 2
    assert "does not say what is lost under codecs" in capsys.readouterr().err


def test_a_plans_true_loss_is_measured_on_what_was_held_out(folder, capsys):
    plan, some = folder / "plan.json", str(folder / "some.npz")
    assert main(["plan", str(folder / "net.json"), "--select", "cut:2", "--codec", "any", "-o", str(plan)]) == 0
    capsys.readouterr()
    assert main(["fidelity", str(plan), some, "-o", str(folder / "loss.json"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["on"]["inputs"], found["on"]["part"], found["on"]["seed"]) == (4, "held-out", 7)
    assert json.loads((folder / "loss.json").read_text()) == found
    assert main(["fidelity", str(plan), some, "--part", "all"]) == 0
    told = capsys.readouterr()
    assert "estimated" in told.out
    assert "this is no check of the estimate: all has inputs that the estimate was made from" in told.err
    assert main(["fidelity", str(plan), some, "--seed", "1"]) == 2
    assert "losses were measured on the half that seed 7 gives" in capsys.readouterr().err
    assert main(["fidelity", str(plan), some, "--part", "rest"]) == 2
