"""Runs that end early: by Ctrl-C, an input that has gone, or a full disk. The report has what was measured."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from lmos.cli import main
from runner.places.edge import run_plan
from runner.watching.events import RunEnded
from runner.watching.report import RunReport
from runner.wire.protocol import messages, repeated
from tests.runner.running import BRANCHED, NETWORKS, SLOW, Plans, ServerProcess

NOBODY = ("127.0.0.1", 1)
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_images_under_way_when_a_run_is_interrupted_do_not_vanish(server: ServerProcess) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    plan = Plans(SLOW, shape=(1, 3, 400, 400))(1)
    report = run_plan(plan, server.address, n=20, networks=NETWORKS, pipelined=True, progress=interrupt)
    assert (report.complete, report.reason) == (False, "interrupted")
    assert 1 <= len(report.per_image) < 20
    assert 1 <= report.lost < 4
    assert {image.reason for image in report.failed} == {"interrupted"}
    assert report.images == len(report.per_image) + report.lost


def test_an_interruption_while_a_header_is_written_ends_the_run_with_its_report(
    server: ServerProcess, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    briefly = messages._without_empty

    def interrupted(found: dict[str, object], *keys: str) -> dict[str, object]:
        if "as_they_are" in keys and found["id"] == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return briefly(found, *keys)

    monkeypatch.setattr(messages, "_without_empty", interrupted)
    monkeypatch.setattr(repeated, "written", lambda message: None)  # as of a question that says more than tensors
    report = run_plan(plans(2), server.address, n=20, networks=NETWORKS)
    assert (report.complete, report.reason) == (False, "interrupted")
    assert [image.reason for image in report.failed] == ["interrupted"]
    assert report.images == len(report.per_image) + 1 == 2


def test_an_interruption_after_the_last_image_does_not_take_the_report(server: ServerProcess, plans: Plans, tmp_path: Path) -> None:
    def observe(event: object) -> None:
        if isinstance(event, RunEnded):
            os.kill(os.getpid(), signal.SIGINT)

    report = run_plan(plans(2), server.address, n=3, networks=NETWORKS, observers=[observe], save_outputs=tmp_path)
    assert (report.images, report.complete, report.reason) == (3, False, "interrupted")
    assert len(json.loads((tmp_path / "index.json").read_text())["items"]) == 3


def test_an_input_that_has_gone_ends_the_run_with_its_report(server: ServerProcess, plans: Plans, tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")

    def progress(what: str, done: int, total: int) -> None:
        if done == 2:
            (tmp_path / "c.png").unlink()

    report = run_plan(plans(2), server.address, images=tmp_path, networks=NETWORKS, progress=progress)
    assert (report.images, report.lost, report.complete) == (2, 0, False)
    assert str(report.reason).startswith(f"{tmp_path / 'c.png'}: is not a picture that can be read: no such file")


@pytest.mark.parametrize("index_too", [False, True])
def test_a_full_disk_under_the_outputs_ends_the_run_with_its_report(plans: Plans, tmp_path: Path, index_too: bool) -> None:
    full = tmp_path / "outputs" / "00002.safetensors"
    full.parent.mkdir()
    full.symlink_to("/dev/full")
    index = full.with_name("index.json")
    if index_too:
        index.symlink_to("/dev/full")
    report = run_plan(plans(-1), NOBODY, n=5, networks=NETWORKS, save_outputs=full.parent)
    assert (report.images, report.complete) == (2, False)
    said = f"{full}: cannot be written: no space left on device"
    assert report.reason == (f"{said}; {index}: cannot be written: no space left on device" if index_too else said)
    assert sorted(path.name for path in full.parent.iterdir()) == sorted(
        ["00000.safetensors", "00001.safetensors", "00002.safetensors", "index.json"])
    if not index_too:
        assert [item["outputs"] for item in json.loads(index.read_text())["items"]] == ["00000.safetensors", "00001.safetensors"]


@pytest.mark.parametrize(("happens", "said"), [(signal.SIGINT, "lmos: interrupted\n"), (BrokenPipeError(), "")])
def test_what_happens_while_a_report_is_printed_does_not_take_its_file(
    plans: Plans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    happens: signal.Signals | BrokenPipeError, said: str,
) -> None:  # fmt: skip
    def printed(text: str) -> None:
        if isinstance(happens, BrokenPipeError):
            raise happens
        os.kill(os.getpid(), happens)

    monkeypatch.setattr("lmos.commands.run.print_json", printed)
    plans(-1).save(tmp_path / "plan.json")
    command = ["run", tmp_path / "plan.json", "-n", "2", "--network", BRANCHED, "-o", tmp_path / "r.json",
               "--trace", tmp_path / "t.json", "--log-level", "error", "--json"]  # fmt: skip
    assert main([*map(str, command)]) == 1
    assert capsys.readouterr().err == said
    report = RunReport.load(tmp_path / "r.json")
    assert (report.images, report.complete) == (2, True)
    assert json.loads((tmp_path / "t.json").read_text())["otherData"]["images"] == 2
