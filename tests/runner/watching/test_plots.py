"""Pictures of a run: stages beside predictions, and a made-up pipelined run as it went."""

from __future__ import annotations

import pytest

from lmos_opt import InputError, Instance
from lmos_opt.plan import Setting, make_plan
from runner.machine import this_machine
from runner.watching.report import Environment, ImageResult, Outcome, RunReport, make_report
from runner.wire.protocol.messages import Span
from tests.runner.running import BRANCHED, Plans

pytest.importorskip("matplotlib")

WAY = {"edge": "t_edge_s", "waiting to be sent": "t_queue_s", "link, with the answer's way back": "t_tx_s",
       "waiting at the server": "t_server_queue_s", "server": "t_server_s"}  # fmt: skip


def image(k: int) -> ImageResult:
    """The k-th image of a run whose link is the slowest stage: each begins 0.25 s after the one before, and waits."""
    times = {"t_edge_s": 0.25, "t_queue_s": 0.25 * k, "t_tx_s": 0.5, "t_server_queue_s": 0.0625 * k,
             "t_server_s": 0.125 + 0.01 * k}  # fmt: skip
    return ImageResult(file=f"{k}.png", class_=k, class_name=None, **times, latency_s=sum(times.values()), began_s=0.25 * k)


@pytest.fixture(scope="module")
def report() -> RunReport:
    environment = Environment(started="2026-01-01T00:00:00+00:00", edge=this_machine(1), server=None, server_address=None,
                              shape=None, weights="seeded:0: random", seed=0, images="pictures")  # fmt: skip
    return make_report(Plans(BRANCHED)(2), Outcome([image(k) for k in range(6)], [1], pipelined=True, elapsed_s=4.0), environment)


def test_fault_19_a_pipelined_run_is_drawn_as_a_gantt_chart_in_its_images_order(report: RunReport) -> None:
    ax = report.plot()
    bars = {str(c.get_label()): list(c) for c in ax.containers}
    assert [name for name in bars if name in WAY] == list(WAY)
    for k, one in enumerate(report.per_image):
        ends = [bar[k].get_x() + bar[k].get_width() for bar in bars.values()]
        begins = [bar[k].get_x() for bar in bars.values()]
        assert begins == pytest.approx([one.began_s, *ends[:-1]])  # each stage where the one before it ends
        assert ends[-1] == pytest.approx((one.began_s or 0.0) + one.latency_s)
        for name, key in WAY.items():
            assert bars[name][k].get_width() == pytest.approx(getattr(one, key))
    assert [bar.get_x() for bar in bars["edge"]] == [0.25 * k for k in range(6)]
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"{k}.png" for k in range(6)]
    assert ax.yaxis_inverted()  # the first one on top
    assert ax.get_xlabel() == "time since the run began (s)"


def test_stages_stand_beside_what_was_predicted(report: RunReport) -> None:
    ax = report.plot(kind="stages")
    predicted, measured = ([bar.get_height() for bar in c] for c in ax.containers if hasattr(c, "patches"))
    keys = ["t_edge_s", "t_tx_s", "t_server_s", "latency_s"]
    assert predicted == [report.predicted[key] for key in keys]
    assert measured == [report.measured[key].p50 for key in keys]
    assert ax.get_ylabel() == "time (s)"


def test_a_run_over_three_places_has_a_bar_and_a_colour_for_each_place_and_hop(report: RunReport) -> None:
    plans = Plans(BRANCHED)
    instance = Instance.from_profile(plans.profile, path="rpi4 > 10Mbps > jetson-orin-nano-cpu > 1Gbps > i7-8700")
    first, *later = instance.names[:1], instance.names[1:2], instance.names[2:]
    plan = make_plan(instance, first, later_layers=later, setting=Setting.of(instance, edge="", server="", rule="cut"))
    further = Span(t_tx_s=0.125, t_server_s=0.5, t_queue_s=0.25)
    images = [image(k).model_copy(update={"beyond": (further,) if k else ()}) for k in range(2)]
    run = make_report(plan, Outcome(images, [1], pipelined=True, elapsed_s=4.0), report.environment)
    bars = {str(c.get_label()): [bar.get_width() for bar in c] for c in run.plot().containers}
    assert {name: bars[name] for name in ("hop 2", "waiting at i7-8700", "i7-8700")} == {
        "hop 2": [0.0, 0.125], "waiting at i7-8700": [0.0, 0.25], "i7-8700": [0.0, 0.5]}  # fmt: skip
    stages = run.plot(kind="stages")
    assert [label.get_text().replace("\n", " ") for label in stages.get_xticklabels()] == [
        "place 1, rpi4", "hop 1", "place 2, jetson-orin- nano-cpu", "hop 2", "place 3, i7-8700", "whole image"]  # fmt: skip


def test_a_run_without_begins_is_drawn_by_its_stages_alone(report: RunReport) -> None:
    old = report.to_dict()
    for image in old["per_image"]:
        del image["began_s"]
    found = RunReport.from_dict(old)
    assert found.plot().get_ylabel() == "time (s)"
    with pytest.raises(InputError, match="does not say when its images began"):
        found.plot(kind="gantt")
    with pytest.raises(InputError, match="'pie' is not a picture of a report; there are stages, gantt"):
        found.plot(kind="pie")


def test_a_run_of_which_nothing_got_through_has_no_picture(report: RunReport) -> None:
    measured = {"edge_memory_bytes": report.to_dict()["measured"]["edge_memory_bytes"]}
    with pytest.raises(InputError, match="no image got through"):
        RunReport.from_dict(report.to_dict() | {"measured": measured, "per_image": []}).plot()
