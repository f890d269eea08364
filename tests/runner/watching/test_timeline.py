"""A run as a trace: what the format asks for, nothing twice at one place, and the report's own seconds."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lmos.cli import main
from lmos_opt import InputError, Instance, Plan
from lmos_opt.plan import Setting, make_plan
from runner.machine import this_machine
from runner.places.edge import run_plan
from runner.watching.report import Environment, Happening, ImageResult, Outcome, RunReport, make_report
from runner.watching.timeline import save_timeline, slices, timeline_of, tracks
from runner.wire.protocol import Span
from tests.runner.running import BRANCHED, NETWORKS, Plans, one_thread, server_process


def ways(report: RunReport, image: ImageResult) -> dict[str, float]:
    """What an image spent on each track (s), from its numbers alone."""
    first, queue, *others = tracks(report.plan)
    waits = image.t_queue_s + image.t_server_queue_s + sum(span.t_queue_s for span in image.beyond)
    return dict(zip([first, *others], image.times(report.plan.n_places), strict=True)) | {queue: waits}


def report_of(*images: ImageResult, plan: Plan | None = None) -> RunReport:
    environment = Environment(started="2026-01-01T00:00:00+00:00", edge=this_machine(1), server=None, server_address=None,
                              shape=None, weights="seeded:0: random", seed=0, images="pictures")  # fmt: skip
    happened = [Happening(at_s=0.25, event="server_lost", text="no sign of life; trying again")]
    outcome = Outcome(images, [1], pipelined=True, elapsed_s=1.0, happened=happened)
    return make_report(plan or Plans(BRANCHED)(2), outcome, environment)


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
        assert any(name == track or name.startswith(f"{track} ") for track in tracks(report.plan))
        mine = sorted((e["ts"], e["ts"] + e["dur"]) for e in spans if e["tid"] == tid)
        assert all(end <= begin + 0.01 for (_, end), (begin, _) in pairwise(mine)), name
    for number, result in enumerate(report.per_image, 1):
        mine = [event for event in spans if event["args"]["image"] == number]
        for track, seconds in ways(report, result).items():
            assert sum(event["dur"] for event in mine if event["cat"] == track) == pytest.approx(1e6 * seconds)
        assert min(event["ts"] for event in mine) == pytest.approx(1e6 * (result.began_s or 0), abs=0.01)
        end = (result.began_s or 0) + sum(ways(report, result).values())
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


def over_four(plans: Plans) -> Plan:
    """A plan over four places, the third one empty."""
    path = " > 1Gbps > ".join(["rpi4", "jetson-orin-nano-cpu", "i7-8700", "paper-server"])
    instance = Instance.from_profile(plans.profile, path=path)
    names = instance.names
    setting = Setting.of(instance, edge="", server="", rule="cut")
    return make_plan(instance, names[:2], later_layers=[names[2:4], (), names[4:]], setting=setting, profile=plans.profile)


def test_every_hop_and_place_of_a_path_is_shown() -> None:
    beyond = [(Span(t_tx_s=0.03 + 0.01 * k, t_server_s=0.2, t_queue_s=0.01, t_decode_s=0.02, t_encode_s=0.03, sent_bytes=3000),
               Span(t_tx_s=0.04, t_server_s=0.1, t_queue_s=0.0)) for k in range(2)]  # fmt: skip
    images = [image(0.18 * k, 0.05, 0.01, 0.02, 0.1, t_server_queue_s=0.02, t_server_encode_s=0.01, t_decode_s=0.03, beyond=spans)
              for k, spans in enumerate(beyond)]  # fmt: skip
    images = [one.model_copy(update={"latency_s": one.latency_s + 0.02 + sum(span.t_s for span in one.beyond)}) for one in images]
    report = report_of(*images, plan=over_four(Plans(BRANCHED)))
    events = adds_up(report)
    named = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"place 1", "queue", "hop 1", "place 2", "hop 2", "place 3", "hop 3", "place 4"} <= named
    last = [one.what for one in slices(report) if one.image == 2]
    assert last == ["head", "waits to be sent", "up", "waits at place 2", "decode", "part", "encode", "up", "waits at place 3",
                    "decode", "part", "encode", "up", "tail"]  # fmt: skip
    at_three = {(one.image, one.what): one for one in slices(report) if one.track == "place 3"}
    assert at_three[1, "encode"].end_s == pytest.approx(0.43)  # before image 2 is computed there
    assert at_three[2, "decode"].begin_s == pytest.approx(0.43)
    counted = {event["name"] for event in events if event["name"].endswith("(Mbit/s)")}
    assert counted == {f"hop {h}: crossing over its time (Mbit/s)" for h in (1, 2, 3)}
    about = timeline_of(report)["otherData"]
    assert [about[f"x{p}"] for p in (1, 2, 3, 4)] == list(report.plan.counts)


def test_an_image_that_a_path_did_not_answer_shows_its_wait() -> None:
    lost = image(0.0, 0.3, 0.05, 0.1, 0.0, t_tail_s=0.2, finished_at="edge", reason="gone")
    report = report_of(lost, plan=over_four(Plans(BRANCHED)))
    adds_up(report)
    assert [(one.track, one.what) for one in slices(report)] == [
        ("place 1", "head"), ("hop 1", "waits without an answer"), ("queue", "loads the tail"), ("place 1", "tail")]  # fmt: skip
