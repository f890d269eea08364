"""A run as a trace: what the format asks for, nothing twice at one place, and the report's own seconds."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lmos.cli import main
from lmos_opt import InputError
from runner.machine import this_machine
from runner.places.edge import run_plan
from runner.watching.report import Environment, Happening, ImageResult, Outcome, RunReport, make_report
from runner.watching.timeline import save_timeline, slices, timeline_of
from tests.runner.running import BRANCHED, NETWORKS, Plans, one_thread, server_process

STAGES = {"edge": "t_edge_s", "queue": "t_queue_s", "link": "t_tx_s", "server": "t_server_s"}


def report_of(*images: ImageResult) -> RunReport:
    environment = Environment(started="2026-01-01T00:00:00+00:00", edge=this_machine(1), server=None, server_address=None,
                              shape=None, weights="seeded:0: random", seed=0, images="pictures")  # fmt: skip
    happened = [Happening(at_s=0.25, event="server_lost", text="no sign of life; trying again")]
    return make_report(Plans(BRANCHED)(2), Outcome(images, [1], pipelined=True, elapsed_s=1.0, happened=happened), environment)


def image(began_s: float | None, edge: float, queue: float, link: float, server: float, **more: Any) -> ImageResult:
    latency_s = edge + queue + link + server
    return ImageResult(file="x.png", class_=1, class_name=None, t_edge_s=edge, t_queue_s=queue, t_tx_s=link, t_server_s=server,
                       latency_s=latency_s, began_s=began_s, **more)  # fmt: skip


def adds_up(report: RunReport) -> list[dict[str, Any]]:
    """Check a trace by the format and against its report; its events."""
    trace = json.loads(json.dumps(timeline_of(report), allow_nan=False))
    events = trace["traceEvents"]
    for event in events:
        assert {"name", "ph", "pid", "ts"} <= set(event)
        assert event["ph"] in "MXCi"
        assert event["ts"] >= 0
        if event["ph"] == "C":
            assert all(isinstance(value, int | float) for value in event["args"].values())
    named = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    spans = [event for event in events if event["ph"] == "X"]
    assert {event["tid"] for event in spans} == set(named)
    for tid, name in named.items():
        assert name.partition(" ")[0] in STAGES
        mine = sorted((e["ts"], e["ts"] + e["dur"]) for e in spans if e["tid"] == tid)
        assert all(end <= begin + 0.01 for (_, end), (begin, _) in pairwise(mine)), name
    for number, result in enumerate(report.per_image, 1):
        mine = [event for event in spans if event["args"]["image"] == number]
        for track, key in STAGES.items():
            assert sum(event["dur"] for event in mine if event["cat"] == track) == pytest.approx(
                1e6 * (getattr(result, key) + (result.t_server_queue_s if track == "queue" else 0)))
        assert min(event["ts"] for event in mine) == pytest.approx(1e6 * (result.began_s or 0), abs=0.01)
        end = (result.began_s or 0) + result.t_server_queue_s + sum(getattr(result, key) for key in STAGES.values())
        assert max(event["ts"] + event["dur"] for event in mine) == pytest.approx(1e6 * end, abs=0.01)
    return events


def test_images_that_overlap_take_lanes_of_their_own() -> None:
    """Image 2 is on its way while image 1 is at the server; the server's spans of 1 and 2 would touch at the end."""
    report = report_of(image(0.0, 0.1, 0.01, 0.05, 0.2), image(0.1, 0.1, 0.0, 0.2, 0.2), image(0.2, 0.1, 0.0, 0.02, 0.3))
    events = adds_up(report)
    lanes = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert lanes >= {"edge", "queue", "link", "link 2", "server"}
    assert "edge 2" not in lanes
    counted = [event["args"]["value"] for event in events if event["name"] == "images under way"]
    assert (max(counted), counted[-1]) == (3, 0)
    assert [event["args"]["text"] for event in events if event["ph"] == "i"] == ["no sign of life; trying again"]
    bandwidth = [event["args"]["value"] for event in events if event["name"].endswith("(Mbit/s)")]
    assert bandwidth[0] == pytest.approx(8e-6 * sum(t.bytes for t in report.plan.crossing) / 0.05)


def test_the_servers_span_lies_before_the_next_images() -> None:
    """Both answers were there at 0.4 s; a tail computes one image after another, so the first one's span ended before."""
    report = report_of(image(0.0, 0.1, 0.0, 0.2, 0.1), image(0.1, 0.1, 0.0, 0.1, 0.1))
    spans = {one.image: (one.begin_s, one.end_s) for one in slices(report) if one.track == "server"}
    assert spans[2] == pytest.approx((0.3, 0.4))
    assert spans[1] == pytest.approx((0.2, 0.3))
    adds_up(report)


def test_an_image_finished_here_shows_its_wait_and_its_tail() -> None:
    report = report_of(image(0.0, 0.3, 0.05, 0.1, 0.0, t_tail_s=0.2, finished_at="edge", reason="gone"), image(0.5, 0.1, 0, 0, 0))
    adds_up(report)
    assert [(one.what, one.image) for one in slices(report)] == [
        ("head", 1), ("waits without an answer", 1), ("loads the tail", 1), ("tail", 1), ("whole network", 2)]  # fmt: skip


@pytest.mark.process
def test_a_real_runs_trace_adds_up(tmp_path: Path) -> None:
    with one_thread(), server_process(tmp_path / "log") as server:
        for pipelined in (False, True):
            report = run_plan(Plans(BRANCHED)(2), server.address, n=12, networks=NETWORKS, pipelined=pipelined)
            adds_up(report)
    report.save(tmp_path / "report.json")
    save_timeline(report, tmp_path / "trace.json")
    assert main(["trace", str(tmp_path / "report.json"), "-o", str(tmp_path / "again.json")]) == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "trace.json").read_bytes()


def test_a_codecs_times_lie_at_both_ends() -> None:
    report = report_of(image(0.0, 0.3, 0.0, 0.1, 0.2, t_encode_s=0.05, t_decode_s=0.02, sent_bytes=1000))
    events = adds_up(report)
    spans = [(one.what, pytest.approx(one.length_s)) for one in slices(report)]
    assert spans == [("head", 0.25), ("encode", 0.05), ("up", 0.1), ("decode", 0.02), ("tail", 0.18)]
    assert [event["args"]["value"] for event in events if event["name"].endswith("(Mbit/s)")] == [pytest.approx(0.08)]


def test_a_report_that_does_not_say_when_is_refused() -> None:
    with pytest.raises(InputError, match="expected began_s"):
        timeline_of(report_of(image(None, 0.1, 0.0, 0.1, 0.1)))
