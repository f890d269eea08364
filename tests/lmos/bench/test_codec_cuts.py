"""`lmos bench codecs`, and int8's promise: SqueezeNet's classes at every split, in at most 0.27 of the bytes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lmos.bench import codec_cuts
from lmos.bench.codec_cuts import bench
from lmos.cli import main

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_int8_keeps_its_promise_at_some_cuts() -> None:
    rows = bench("squeezenet1_1", "bundled:squeezenet1_1", ["int8", "zstd"], [0, 2, 9, 40, 65], None)
    assert len(rows) == 10
    for row in rows:
        assert row.pictures == 5
        if row.codec == "int8":
            assert row.keeps_its_promise, row
            assert 0 < row.max_logit_difference < 1
        else:
            assert (row.top1_agree, row.max_logit_difference) == (5, 0.0)


@pytest.mark.slow
def test_int8_keeps_its_promise_at_every_split() -> None:
    rows = bench("squeezenet1_1", "bundled:squeezenet1_1", ["int8"], None, None)
    assert len(rows) > 66
    assert {row.x1 for row in rows} == {*range(66)}
    assert [row for row in rows if not row.keeps_its_promise] == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    table = str(tmp_path / "rows.csv")
    arguments = ["bench", "codecs", "--codecs", "int8,jpeg:75", "--cuts", "0,64", "-n", "1", "-o", table, "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["codec"], one["cuts"]) for one in found["codecs"]] == [("int8", 2), ("jpeg:75", 1)]
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert [(row["codec"], row["x1"], row["crossing"]) for row in rows][:2] == [("int8", "0", "input"), ("jpeg:75", "0", "input")]
    assert 0.25 < float(rows[0]["ratio"]) < 0.27
    monkeypatch.setattr(codec_cuts, "PROMISED_RATIO", 0.2)
    assert main(arguments[:-1]) == 1
    assert "int8 after (none): 1 of 1 classes as without it, in 0.25" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "reason"), [
    (["--cuts", "66"], "--cuts: 66 is not between 0 and 65"), (["--cuts", "x"], "'x' is neither 'all' nor numbers"),
    (["--codecs", "int9"], "'int9' is not a codec"), (["-o", "x.json"], "a table is written as .csv"),
])  # fmt: skip
def test_what_it_refuses(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "codecs", *arguments]) == 2
    assert reason in capsys.readouterr().err
