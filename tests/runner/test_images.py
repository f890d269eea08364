"""Pictures in turn, and the next one loaded ahead."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from lmos.cli import main
from runner.images import Images
from runner.watching.report import RunReport
from tests.runner.running import BRANCHED, Plans, ServerProcess


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
