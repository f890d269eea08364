"""Fronts of torchvision's classifiers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torchvision

from lmos.bench import scale
from lmos.bench.networks import classifiers
from lmos.bench.scale import Scaled
from lmos.commands.bench_scale import page, run
from lmos_opt.data import data_dir
from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile

DOCS = Path(__file__).parents[3] / "docs"


def test_both_fronts_of_a_network_stand_in_the_table(tmp_path, capsys):
    NetworkProfile.load(data_dir() / "profiles" / "squeezenet1_1.json").save(tmp_path / "squeezenet1_1.json")
    run("squeezenet1_1", tmp_path / "scale.md", tmp_path, "60s", True)
    found = json.loads(capsys.readouterr().out)
    assert [(one["network"], one["memory_model"], one["layers"], one["reason"]) for one in found] == [
        ("squeezenet1_1", model, 66, None) for model in ("sum", "peak")
    ]
    assert "| squeezenet1_1 | peak | 66 |" in (tmp_path / "scale.md").read_text()


def test_a_large_network_has_its_splits_looked_at(tmp_path):
    NetworkProfile.load(data_dir() / "profiles" / "resnet50.json").save(tmp_path / "resnet50.json")
    for one in scale.survey(["resnet50"], tmp_path, 60.0):
        assert (one.layers, one.splits, one.solves, one.lps, one.reason) == (175, 240, 0, 0, None)


def test_a_network_is_traced_by_its_shapes_and_kept(tmp_path):
    (found, _) = scale.survey(["squeezenet1_1"], tmp_path, 60.0)
    assert found.layers == len(NetworkProfile.load(tmp_path / "squeezenet1_1.json").layers)


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(InputError, match="matches no classifier"):
        run("none*", None, None, "60s", False)


def test_the_page_of_the_documentation_is_what_the_command_writes():
    text = (DOCS / "scale.md").read_text()
    made = page([Scaled("alexnet", "sum", 22, 5, "epsilon_constraint", None, 6, 9, 0.1)])
    assert made[made.index("`splits` is how many") : made.index("| alexnet")] in text
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert set(rows) <= set(torchvision.models.list_models(module=torchvision.models))
    assert len(rows) == 2 * len(classifiers())
