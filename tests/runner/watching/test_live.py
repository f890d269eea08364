"""The live view: what it says, on a terminal and nowhere else, and how it leaves."""

from __future__ import annotations

import io
import os
import signal
import threading
from pathlib import Path

import pytest
from rich.console import Console

from lmos.cli import main
from runner.watching.events import Asked, CutChanged, Event, ImageBegan, ImageEnded, RunBegan, ServerLost, ServerReady
from runner.watching.live import RECENT, LiveView
from runner.watching.report import FailedImage, ImageResult
from tests.runner.running import BRANCHED, Plans, one_thread


def shown(view: LiveView) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def result(k: int, **more: object) -> ImageResult:
    return ImageResult.model_validate({"file": "x", "class": 1, "class_name": None, "t_edge_s": 0.001 * k, "t_tx_s": 0.02,
                                       "t_server_s": 0.03, "latency_s": 0.05 + 0.001 * k, **more})  # fmt: skip


def test_what_it_says_of_a_run_in_trouble() -> None:
    view = LiveView(clock=lambda: 12.0)
    assert shown(view) == "starting; server: not connected"
    told: list[Event] = [
        ServerReady(peer="there:7070", again=False),
        RunBegan(network="tiny", digest="abc", cut=3, images=9, peer="there:7070", pipelined=True, at=10.0),
        *(ImageBegan(number=k, file="x") for k in (1, 2, 3, 4)),
        *(ImageEnded(number=k, result=result(k), at=11.0) for k in (1, 2)),
        Asked(peer="there:7070", number=3, attempt=2, sent_bytes=1),
        ImageEnded(number=3, result=result(3, finished_at="edge", reason="it is dark"), at=11.5),
        CutChanged(number=5, before=3, after=5, reason="the link is slow"),
        ServerLost(peer="there:7070", reason="no sign of life", code=None, pause_s=0.1),
        ImageEnded(number=4, result=FailedImage(file="x", reason="it is darker", retries=1)),
    ]
    for event in told:
        view(event)
    view.do("waiting for the server with 1 image", 4, 9)
    assert shown(view).splitlines() == [
        "tiny: 4 of 9 images, 1.50 images/s, 0 under way",
        "waiting for the server with 1 image; 5 layers here, changed 1 time",
        "there:7070: no sign of life; trying again in 100.00 ms",
        "stage            last  median of 3",
        "edge          3.00 ms      2.00 ms",
        "waiting       0.000 s      0.000 s",
        "link         20.00 ms     20.00 ms",
        "server       30.00 ms     30.00 ms",
        "whole image  53.00 ms     52.00 ms",
        "1 sent again, 1 finished here, 1 lost (it is darker)",
    ]


def test_it_forgets_what_is_long_ago() -> None:
    now = 0.0
    view = LiveView(clock=lambda: now)
    view(RunBegan(network="tiny", digest="abc", cut=3, images=9, peer=None, pipelined=False, at=0.0))
    for k in range(1, 10 * RECENT):
        now = float(k) if k < 5 * RECENT else now + 0.1
        view(ImageBegan(number=k, file="x"))
        view(ImageEnded(number=k, result=result(k), at=now))
    assert view.goodput == pytest.approx(10.0)
    assert f"median of {RECENT}" in shown(view)
    assert "no server needed" in shown(view)


def test_on_a_terminal_it_is_drawn_and_ctrl_c_leaves_it_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Plans(BRANCHED)(-1).save(tmp_path / "plan.json")
    ours, theirs = os.openpty()
    seen: list[bytes] = []

    def look() -> None:
        while b"writing" not in (seen[-1] if seen else b""):
            try:
                seen.append(os.read(ours, 65536))
            except OSError:
                return
            if b"median of 50" in seen[-1]:
                break
        os.kill(os.getpid(), signal.SIGINT)
        while chunk := os.read(ours, 65536):
            seen.append(chunk)
            if b"interrupted" in chunk:
                return

    looking = threading.Thread(target=look)
    with one_thread(), os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        patch.setenv("TERM", "xterm")
        looking.start()
        code = main(["run", str(tmp_path / "plan.json"), "--network", BRANCHED, "-n", "1000000"])
        looking.join(20)
    os.close(ours)
    assert code == 1
    drawn = b"".join(seen).decode()
    assert "branched: " in drawn
    assert "0 sent again, 0 finished here, 0 lost" in drawn
    assert drawn.index("\x1b[?25l") < drawn.rindex("\x1b[?25h") < drawn.rindex("lmos: interrupted after ")  # the cursor is back
    assert drawn.rstrip().endswith(" images")
    assert "layers at the edge" in capsys.readouterr().out


def test_in_a_pipe_nothing_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Plans(BRANCHED)(-1).save(tmp_path / "plan.json")
    with one_thread():
        assert main(["run", str(tmp_path / "plan.json"), "--network", BRANCHED, "-n", "3"]) == 0
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("lmos: nothing says how")
    assert "0 at the server, which was not contacted" in " ".join(printed.out.split())
