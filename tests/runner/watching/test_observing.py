"""Logs and metrics of real runs and servers: they say what the report says, and no secret."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lmos.cli import main
from lmos_opt.plan import Plan
from runner.errors import RunnerError
from runner.faults.limits import Limits
from runner.places.edge import run_plan
from runner.watching.events import Event
from runner.watching.logs import log_event
from runner.watching.metrics import MOST_SCRAPES, EdgeMetrics, ServerMetrics, check_metrics_address, serve_metrics
from runner.watching.report import RunReport
from runner.wire.access import Access
from runner.wire.timeouts import Timeouts
from tests import warm
from tests.runner.running import BRANCHED, HERE, NETWORKS, Plans

TOKEN = "a-token-that-nobody-may-read"
Numbers = dict[tuple[str, str], float]
pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plans(BRANCHED)(2)


@dataclass
class Serving:
    process: warm.Popen
    log: Path
    address: tuple[str, int]
    metrics: str

    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """`lmos serve` with a token, logs as JSON, and metrics."""
    log = folder / "serve.log"
    (folder / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "lmos", "serve", "--listen", "127.0.0.1:0", "--token-file", str(folder / "token"),
               "--log-format", "json", "--log-level", "debug", "--metrics", "127.0.0.1:0"]  # fmt: skip
    command += [part for network in NETWORKS for part in ("--network", network)]
    with log.open("w") as errors, warm.begun(command, cwd=HERE, stderr=errors) as process:
        while '"listening"' not in (said := log.read_text()):
            assert process.poll() is None, said
            time.sleep(0.05)
        port = re.search(r'"address": "127.0.0.1:(\d+)"', said)
        url = re.search(r'"url": "([^"]+)"', said)
        assert port
        assert url
        yield Serving(process, log, ("127.0.0.1", int(port[1])), url[1])


def scraped(url: str) -> Numbers:
    """Every sample, by its name and its labels."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {(sample.name, ",".join(sample.labels.values())): sample.value for family in families for sample in family.samples}


def until(url: str, name: str, label: str, value: float) -> Numbers:
    """What is shown once a number is there: the server counts an answer after it was sent."""
    for _ in range(100):
        if (found := scraped(url))[name, label] == value:
            return found
        time.sleep(0.05)
    pytest.fail(f"{name}: {found[name, label]}, not {value}")


def run(plan: Plan, server: Serving, metrics: EdgeMetrics, n: int, **options: object) -> RunReport:
    return run_plan(plan, server.address, n=n, networks=NETWORKS, access=Access(TOKEN), observers=[metrics, log_event],
                    **options)  # type: ignore[arg-type]  # fmt: skip


def agrees_with(found: Numbers, report: RunReport) -> None:
    """The edge's metrics of one run and its report."""
    done = [image for image in report.per_image if image.finished_at == "plan"]
    assert found["lmos_edge_images_total", "done"] == len(done)
    assert found["lmos_edge_images_total", "done_locally"] == report.fallbacks
    assert found["lmos_edge_images_total", "failed"] == report.lost
    assert found["lmos_edge_retries_total", ""] == report.retries
    assert found["lmos_edge_cut_layers", ""] == report.plan.x1
    assert found["lmos_edge_images_under_way", ""] == found["lmos_edge_connected", ""] == 0
    assert found["lmos_edge_goodput_images_per_second", ""] == pytest.approx(report.goodput_images_per_s)
    for stage, key in (("edge", "t_edge_s"), ("queue", "t_queue_s"), ("link", "t_tx_s"), ("server", "t_server_s"),
                       ("encode", "t_encode_s"), ("decode", "t_decode_s"), ("image", "latency_s")):  # fmt: skip
        assert found["lmos_edge_stage_seconds_count", stage] == len(report.per_image)
        total = sum(getattr(image, key) for image in report.per_image)
        assert found["lmos_edge_stage_seconds_sum", stage] == pytest.approx(total)


@pytest.mark.process
def test_both_sides_show_what_the_report_says(plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with serving(tmp_path) as server:
        edge = EdgeMetrics()
        with serve_metrics(edge, ("127.0.0.1", 0)) as (host, port):
            report = run(plan, server, edge, 5, pipelined=True)
            here = scraped(f"http://{host}:{port}/metrics")
        agrees_with(here, report)
        there = until(server.metrics, "lmos_server_connections", "peer", 0)
        assert there["lmos_server_requests_total", "computed"] == 5 + 1  # and the image that warms up
        assert there["lmos_server_requests_total", "memory"] == 0
        assert there["lmos_server_stage_seconds_sum", "server"] > sum(image.t_server_s for image in report.per_image)
        assert there["lmos_server_sent_bytes_total", ""] == here["lmos_edge_received_bytes_total", ""]
        assert there["lmos_server_received_bytes_total", ""] == here["lmos_edge_sent_bytes_total", ""]
        assert here["lmos_edge_sent_bytes_total", ""] > 6 * sum(tensor.bytes for tensor in plan.crossing)
        assert there["lmos_server_memory_bytes", ""] == there["lmos_server_requests_waiting", ""] == 0
        assert there["lmos_server_peers_total", ""] == 1

        (tmp_path / "wrong").write_text("another-token-of-some-length")
        plan.save(tmp_path / "plan.json")
        assert main(["run", str(tmp_path / "plan.json"), "--server", f"127.0.0.1:{server.address[1]}",
                     "--token-file", str(tmp_path / "wrong"), "--network", BRANCHED]) == 1  # fmt: skip
        assert until(server.metrics, "lmos_server_refusals_total", "token", 1)

        def kill(what: str, done: int, total: int) -> None:
            if done == 2:
                server.process.kill()

        edge = EdgeMetrics()
        with serve_metrics(edge, ("127.0.0.1", 0)) as (host, port):
            report = run(plan, server, edge, 5, progress=kill, timeouts=Timeouts(result_s=1))
            here = scraped(f"http://{host}:{port}/metrics")
        agrees_with(here, report)
        assert report.fallbacks == 3
        assert here["lmos_edge_connections_lost_total", ""] > 0
        assert next(event.event for event in report.happened) == "server_lost"
        logged_right(server.records(), caplog, tmp_path)


def logged_right(records: list[dict[str, object]], caplog: pytest.LogCaptureFixture, folder: Path) -> None:
    """One object a line, with what belongs to each event; no token in it, and no session's whole id."""
    assert {"time", "level", "logger", "event", "message"} <= set.intersection(*(set(record) for record in records))
    opened = next(record for record in records if record["event"] == "peer_opened")
    answered = [record for record in records if record["event"] == "answered" and record["peer"] == opened["peer"]]
    assert [record["number"] for record in answered] == list(range(6))
    assert {record["session"] for record in answered} == {opened["session"]}
    assert (opened["cut"], len(str(opened["digest"])), len(str(opened["session"]))) == (2, 8, 8)
    assert all(float(str(record["t_server_s"])) > 0 for record in answered)
    refused = next(record for record in records if record["event"] == "peer_refused")
    assert (refused["code"], refused["reason"], refused["level"]) == ("token", "the token is wrong", "warning")
    everything = (folder / "serve.log").read_text() + caplog.text
    assert "token is wrong" in everything
    assert TOKEN not in everything
    assert (folder / "wrong").read_text() not in everything
    assert not re.search(r"[0-9a-f]{32}", everything)
    assert "image 3: done locally after" in caplog.text


@pytest.mark.process
def test_a_run_told_to_end_writes_its_report_and_trace_and_its_log_is_json_alone(plan: Plan, tmp_path: Path) -> None:
    """SIGTERM is for `run` what Ctrl-C is."""
    all_here = Plans(BRANCHED)(-1)
    all_here.save(tmp_path / "plan.json")
    command = [sys.executable, "-m", "lmos", "run", str(tmp_path / "plan.json"), "-n", "1000000", "--network", BRANCHED,
               "-o", str(tmp_path / "report.json"), "--trace", str(tmp_path / "trace.json"), "--log-format", "json"]  # fmt: skip
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err, \
            warm.begun(command, cwd=HERE, stdout=out, stderr=err) as process:  # fmt: skip
        while (tmp_path / "err").read_text().count("\n") < 30:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
    records = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines()]
    assert [record["event"] for record in records[:3]] == ["log", "run_began", "image_ended"]
    assert records[0]["message"].startswith(f"nothing says how {BRANCHED} takes pictures; assumed: shorter side to 9 pixels")
    assert [record["event"] for record in records[-2:]] == ["run_ended", "command_failed"]
    report = RunReport.load(tmp_path / "report.json")
    assert (report.complete, report.reason) == (False, "interrupted")
    assert records[-1]["message"] == f"interrupted after {report.images} images"
    assert sum(record["event"] == "image_ended" for record in records) == report.images
    assert f"{report.images} images" in (tmp_path / "out").read_text()
    assert json.loads((tmp_path / "trace.json").read_text())["otherData"]["images"] == report.images


def test_metrics_stay_on_this_machine_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Plans(BRANCHED)(-1).save(tmp_path / "plan.json")
    check_metrics_address(("::1", 1), unprotected=False)
    check_metrics_address(("0.0.0.0", 1), unprotected=True)
    for command in (["serve", "--listen", "127.0.0.1:0"], ["run", str(tmp_path / "plan.json"), "--network", BRANCHED]):
        assert main([*command, "--metrics", "0.0.0.0:9999"]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("lmos: --metrics: 0.0.0.0 can be reached from other machines")
        assert "--unprotected" in said


def test_a_taken_address_an_unknown_word_and_a_missing_library_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Plans(BRANCHED)(-1).save(tmp_path / "plan.json")
    command = ["run", str(tmp_path / "plan.json"), "--network", BRANCHED]
    with serve_metrics(EdgeMetrics(), ("127.0.0.1", 0)) as (host, port):
        assert main([*command, "--metrics", f"{host}:{port}"]) == 1
        assert f"{host}:{port}: cannot listen there: address already in use (--metrics)" in capsys.readouterr().err
        with pytest.raises(RunnerError, match="already in use"), serve_metrics(EdgeMetrics(), (host, port)):
            pass
    with serve_metrics(EdgeMetrics(), (host, port)):  # it was closed
        pass
    assert main([*command, "--log-format", "xml"]) == 2
    assert capsys.readouterr().err == "lmos: --log-format: 'xml' is not one of text, json\n"
    assert main([*command, "--trace", "trace.txt"]) == 2
    assert "expected .json" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "runner.watching.metrics")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert main([*command, "--metrics", "127.0.0.1:0"]) == 1
    assert capsys.readouterr().err == "lmos: --metrics needs the extra 'metrics': pip install 'lmos[metrics]'\n"


def test_those_who_only_connect_keep_nobody_from_reading_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections take every place; each is hung up on after a while."""
    monkeypatch.setattr("runner.watching.metrics._SCRAPE_S", 0.2)
    metrics = EdgeMetrics()
    with serve_metrics(metrics, ("127.0.0.1", 0)) as address:
        idle = [socket.create_connection(address) for _ in range(3 * MOST_SCRAPES)]
        for _ in range(100):
            try:
                assert ("lmos_edge_cut_layers", "") in scraped(f"http://{address[0]}:{address[1]}/metrics")
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("never answered")
        for sock in idle:
            sock.close()


def test_the_page_lists_every_metric_and_every_event() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "events.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    kinds = {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    shown = set()
    for metrics in (EdgeMetrics(), ServerMetrics(Limits())):
        for family in metrics.registry.collect():
            name = family.name + ("_total" if family.type == "counter" else "")
            shown.add(name)
            assert kinds[name].strip().startswith(family.type)
    assert shown == {name for name in listed if name.startswith("lmos_")}
    events, found = [Event], set()
    while events:
        kind = events.pop()
        events += kind.__subclasses__()
        found |= {kind.name} if hasattr(kind, "name") else set()
    assert found | {"log"} == listed - shown
