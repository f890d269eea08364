"""`lmos trace-link` and `lmos scenarios`: what they write, and what they refuse in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt.scenarios.records import ScenariosFile
from lmos_opt.traces.loading import load_trace
from lmos_opt.traces.making import make_trace


def test_a_generated_trace_is_written_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    assert main(["trace-link", "switching:3", "--for", "20s", "--name", "mine", "-o", str(file)]) == 0
    assert load_trace(file).rate_bytes_per_s == make_trace("switching", 20, 3).rate_bytes_per_s
    assert main(["trace-link", f"{file}@5s..10s", "-o", str(tmp_path / "part.json")]) == 0
    assert load_trace(tmp_path / "part.json").ends_s == 5.0


def test_scenarios_are_drawn_from_a_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.json"
    assert main(["scenarios", "switching@train", "--count", "60", "--block", "5s", "-o", str(file)]) == 0
    found = ScenariosFile.load(file)
    assert sum(one.weight for one in found.scenarios) == 60
    assert "switching@train" in capsys.readouterr().out
    asked = ["--scenarios", str(file), "--objectives", "latency@p95,memory", "--select", "knee"]
    assert main(["plan", "alexnet", *asked, "-o", str(tmp_path / "plan.json")]) == 0


@pytest.mark.parametrize(("arguments", "line"), [
    (["trace-link", "nowhere"], "nowhere: is no file, no bundled trace, not fading:SEED, switching:SEED, and no server HOST:PORT"),
    (["trace-link", "fading", "-o", "t.txt"], "t.txt: has the suffix '.txt'; expected one of .json, .csv, .log"),
    (["trace-link", "fading@half"], "fading: 'half' is no part of a trace; expected train (the first half)"),
    (["trace-link", "127.0.0.1:1", "--every", "9min"], "--every: 540 s is no step of 60 s"),
    (["scenarios", "fading", "--block", "7min"], "fading: blocks of 420 s cannot be drawn from 360 s in steps of 1 s"),
    (["trace-link", "fading:²"], "fading:²: '²' is no seed; expected a whole number"),
    (["trace-link", "fading:1", "--for", "1e300s"], "trace: of 1e+300 s cannot be generated; expected 1 s to 1000000 s"),
    (["trace-link", "fading:1", "--name", " a"], "--name: got \" a\", expected printable text without blanks around it"),
    (["scenarios", "fading", "--step", "1ns"], "fading: lasts 360 s, and a step 1e-09 s; expected 1 to 1000000 steps in it"),
    (["scenarios", "fading", "--block", "1e308s", "--step", "1ms"], "fading: blocks of 1e+308 s cannot be drawn"),
    (["scenarios", "fading", "--count", "20000"], "count: 20000 scenarios cannot be drawn; expected 1 to 10000"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_line(arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
