"""The table of torchvision's classifiers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torchvision

from lmos.bench.networks import Surveyed, classifiers
from lmos.commands.bench_networks import page, run
from lmos_opt.errors import InputError

DOCS = Path(__file__).parents[3] / "docs"


def test_the_classifiers_are_torchvisions_and_no_other_family() -> None:
    names = classifiers()
    assert len(names) >= 80
    assert {"alexnet", "regnet_y_128gf", "vit_h_14", "maxvit_t"} <= set(names)
    assert not [name for name in names if "quantized" in name or "rcnn" in name or "segmentation" in name]
    assert classifiers("vgg*_bn") == ["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]


def test_a_profile_or_a_reason_stands_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("lmos.bench.networks.INPUT", (3, 8, 8))  # too small for one of the two
    run("*squeezenet1_1", tmp_path / "networks.md", True)
    (found,) = json.loads(capsys.readouterr().out)
    assert "fails on an input of shape" in found["reason"]
    assert "| squeezenet1_1 | torchvision:squeezenet1_1: fails" in (tmp_path / "networks.md").read_text()
    monkeypatch.undo()
    run("squeezenet1_1", None, True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["layers"], found["params"], found["output"], found["reason"]) == (66, 1_235_496, [1, 1000], None)
    assert abs(found["gmacs"] - 0.349) < 0.001


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="matches no classifier"):
        run("none*", None, False)


def test_the_page_of_the_documentation_is_what_the_command_writes() -> None:
    text = (DOCS / "networks.md").read_text()
    made = page([Surveyed("alexnet", 22, 0.714, 61_100_840, (1, 1000), 0.4)])
    header = made[made.index("This command wrote") : made.index("| alexnet")]
    assert header in text
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert set(rows) <= set(torchvision.models.list_models(module=torchvision.models))
    assert len(rows) >= 80
