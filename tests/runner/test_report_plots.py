"""Pictures of a run: a real pipelined one over a shaped link, drawn as it went."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import BRANCHED, NETWORKS, Plans, one_thread, server_process

from lmos_opt import InputError
from runner.edge import run_plan
from runner.report import RunReport
from runner.shaping import parse_shape

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    plan = Plans(BRANCHED)(2)
    with server_process(tmp_path_factory.mktemp("server") / "log") as server, one_thread():
        return run_plan(plan, server.address, n=6, networks=NETWORKS, pipelined=True, shape=parse_shape("10Mbps,20ms"))


def test_a_pipelined_run_is_drawn_as_a_gantt_chart_in_its_images_order(report: RunReport) -> None:
    assert report.pipelined
    ax = report.plot()
    bars = {c.get_label(): list(c) for c in ax.containers}
    assert list(bars) == ["edge", "waiting to be sent", "link, with the answer's way back", "server"]
    for k, image in enumerate(report.per_image):
        assert bars["edge"][k].get_x() == pytest.approx(image.began_s)
        assert bars["server"][k].get_width() == pytest.approx(image.t_server_s)
        end = bars["server"][k].get_x() + bars["server"][k].get_width()
        assert end <= (image.began_s or 0) + image.latency_s + 1e-6
    begins = [image.began_s or 0.0 for image in report.per_image]
    assert begins == sorted(begins)
    assert begins[1] < begins[0] + report.per_image[0].latency_s  # it is a pipeline: they overlap
    assert ax.get_xlabel() == "time since the run began (s)"


def test_stages_stand_beside_what_was_predicted(report: RunReport) -> None:
    ax = report.plot(kind="stages")
    predicted, measured = ([bar.get_height() for bar in c] for c in ax.containers if hasattr(c, "patches"))
    keys = ["t_edge_s", "t_tx_s", "t_server_s", "latency_s"]
    assert predicted == [report.predicted[key] for key in keys]
    assert measured == [report.measured[key].p50 for key in keys]
    assert ax.get_ylabel() == "time (s)"


def test_a_run_without_begins_is_drawn_by_its_stages_alone(report: RunReport) -> None:
    old = report.to_dict()
    for image in old["per_image"]:
        del image["began_s"]
    found = RunReport.from_dict(old)
    assert found.plot().get_ylabel() == "time (s)"
    with pytest.raises(InputError, match="does not say when its images began"):
        found.plot(kind="gantt")
    with pytest.raises(InputError, match="'pie' is no picture of a report; there are stages, gantt"):
        found.plot(kind="pie")


def test_a_run_of_which_nothing_got_through_has_no_picture(report: RunReport) -> None:
    measured = {"edge_memory_bytes": report.to_dict()["measured"]["edge_memory_bytes"]}
    with pytest.raises(InputError, match="no image got through"):
        RunReport.from_dict(report.to_dict() | {"measured": measured, "per_image": []}).plot()


def test_the_gantt_chart_as_a_page(report: RunReport, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    from lmos_opt.plots.style import save
    from runner.plots import interactive_gantt

    save(tmp_path / "g.html", report.plot, lambda: interactive_gantt(report))
    assert '"orientation":"h"' in (tmp_path / "g.html").read_text()
