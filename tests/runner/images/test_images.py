"""Pictures in turn, and the next one loaded ahead."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lmos.cli import main
from runner.images import Images, Numbered, find_images
from runner.watching.report import RunReport
from tests.runner.running import BRANCHED, Plans, ServerProcess, network_of


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_pictures_come_over_and_over_in_their_order(n: int, ahead: bool) -> None:
    images = Images("three", ["a", "b", "c"], torch.tensor)
    found = [(name, int(image)) for name, image in images.in_turn(n, ahead)]
    assert found == [("abc"[k % 3], k % 3) for k in range(n)]


def test_only_the_next_one_is_loaded_ahead_and_while_this_one_is_used() -> None:
    loaded = threading.Semaphore(0)
    count = 0

    def load(k: int) -> Tensor:
        nonlocal count
        count += 1
        loaded.release()
        return torch.tensor(k)

    for k, _ in enumerate(Images("four", list("abcd"), load).in_turn(4, ahead=True)):
        for _ in range(2 if k == 0 else int(k < 3)):
            assert loaded.acquire(timeout=10)
        assert count == min(k + 2, 4)


def test_a_picture_that_cannot_be_loaded_says_so_in_its_turn() -> None:
    def load(k: int) -> Tensor:
        if k == 1:
            raise ValueError("broken")
        return torch.tensor(k)

    pictures = Images("two", ["a", "b"], load).in_turn(2, ahead=True)
    assert next(pictures)[0] == "a"
    with pytest.raises(ValueError, match="broken"):
        next(pictures)


@pytest.mark.process
@pytest.mark.parametrize(("codec", "options"), [("raw", []), ("raw", ["--pipeline"]), ("jpeg:90", []), ("jpeg:90", ["--pipeline"])])
def test_fault_18_a_run_leaves_bad_pictures_out(
    codec: str, options: list[str], server: ServerProcess, plans: Plans, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans(0).model_copy(update={"codec": codec}).save(tmp_path / "plan.json")
    (tmp_path / "pictures").mkdir()
    for name in ("b.png", "d.png"):
        Image.new("RGB", (20, 30), "red").save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "a.png").write_text("no picture")
    (tmp_path / "pictures" / "c.png").write_bytes((tmp_path / "pictures" / "b.png").read_bytes()[:40])
    command = ["run", str(tmp_path / "plan.json"), "--server", f"127.0.0.1:{server.port}", "--network", BRANCHED, *options,
               "--images", str(tmp_path / "pictures"), "-o", str(tmp_path / "report.json")]  # fmt: skip
    assert main(command) == 2
    refused = capsys.readouterr().err.splitlines()[-1]
    assert refused == f"lmos: {tmp_path}/pictures/a.png: is not a picture that can be read"
    assert main([*command, "--skip-bad-images"]) == 0
    out, err = capsys.readouterr()
    assert [line[:22] for line in err.splitlines()] == ["lmos: nothing says how"]
    assert "skipped a.png: is not a picture that can be read\n" in out
    report = RunReport.load(tmp_path / "report.json")
    assert sorted(one.file for one in report.per_image) == ["b.png", "d.png"]
    assert [one.file for one in report.skipped] == ["a.png", "c.png"]
    assert (report.images, report.lost, report.fallbacks) == (2, 0, 0)
    assert report.pipelined == ("--pipeline" in options)


@pytest.mark.process
@pytest.mark.parametrize("option", ["--inputs", "--images"])
def test_a_file_of_arrays_runs_as_the_pictures_that_it_was_made_of(
    option: str, server: ServerProcess, plans: Plans, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plans(2)
    plan.save(tmp_path / "plan.json")
    pictures = find_images(network_of(plan), None)
    np.savez(tmp_path / "x.npz", input=torch.cat([pictures.load(k) for k in range(len(pictures))]).numpy())
    command = ["run", str(tmp_path / "plan.json"), "--server", f"127.0.0.1:{server.port}", "--network", BRANCHED]
    reports = []
    for options in ([], [option, str(tmp_path / "x.npz"), "--labels", str(tmp_path / "labels.txt")]):
        (tmp_path / "labels.txt").write_text("\n".join(f"<class {k}>" for k in range(10)))
        assert main([*command, *options, "-o", str(tmp_path / "report.json")]) == 0
        reports.append(RunReport.load(tmp_path / "report.json"))
    assert [one.class_ for one in reports[0].per_image] == [one.class_ for one in reports[1].per_image]
    assert [one.file for one in reports[1].per_image] == [f"x.npz[{k}]" for k in range(len(pictures))]
    assert [one.class_name for one in reports[1].per_image] == [f"<class {one.class_}>" for one in reports[1].per_image]
    assert reports[1].environment.images == f"{len(pictures)} items of {tmp_path}/x.npz"
    assert reports[1].environment.preprocessing is None
    assert capsys.readouterr().err.count("nothing says how") == 1  # of the pictures
    assert main([*command, option, str(tmp_path / "none.npz")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"lmos: {tmp_path}/none.npz: ")


def test_names_of_many_items_take_no_room() -> None:
    names = Numbered("{{x}}[{}]", 10**12)
    assert (len(names), names[10**12 - 1], names[-1], names[:2]) == (10**12, "{x}[999999999999]", "{x}[999999999999]",
                                                                     ["{x}[0]", "{x}[1]"])  # fmt: skip
    with pytest.raises(IndexError):
        names[10**12]
