"""Adapting: the estimate, the choice and the steering by the numbers; then real runs over links that change."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from lmos.cli import main
from lmos_opt import InputError, Plan
from lmos_opt.policies.policy import Policy
from runner.adaptation.cuts import Choice, check_memory, plans_of
from runner.adaptation.estimate import LEAST_NOISE_S, LinkEstimate
from runner.adaptation.hop import WatchedHop
from runner.adaptation.steering import Steering
from runner.client.pipeline import Pipeline, Route
from runner.faults.limits import ORDINARY
from runner.lab.probing.fit import ProbeTime
from runner.places.edge import run_plan
from runner.watching.events import Asked, CutChanged, Event, ImageEnded
from runner.watching.report import ImageResult, RunReport
from runner.wire.shaping import Pacer, Shape
from runner.wire.timeouts import PATIENT, Timeouts
from tests.runner.running import BRANCHED, NETWORKS, Plans, ServerProcess, server_process, thread_server

SHORT = Timeouts(connect_s=3.0, ready_s=30.0, result_s=3.0, heartbeat_s=0.3, silence_s=1.5, give_up_s=5.0)
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def adaptive(plans: Plans, rule: str = "min_latency", **changes: Any) -> Plan:
    """All at the edge below 1.5 Mbit/s, where 4 ms pass, and all at the server (768 bytes) above, where none do."""
    whole = plans(-1)
    stretches = [
        {"low": 1e4, "high": 192_000.0, "edge_layers": whole.edge_layers, "x1": whole.x1, "x2": 0, "fixed_s": 0.004,
         "crossing_bytes": 0, "memory_bytes": 1},
        {"low": 192_000.0, "high": 2.5e7, "edge_layers": (), "x1": 0, "x2": whole.x1, "fixed_s": 0.0, "crossing_bytes": 768,
         "memory_bytes": 0},
    ]  # fmt: skip
    policy = Policy.from_dict({"schema": "lmos.policy/1", "instance": "branched", "rule": rule, "over": "bandwidth",
                               "memory_model": "sum", "proper_split": False, "bandwidth_bytes_per_s": None,
                               "memory_limit_bytes": None, "stretches": stretches})  # fmt: skip
    return whole.model_copy(update={"policy": policy, **changes})


# by the numbers ------------------------------------------------------------------------------------------------------


def test_an_estimate_is_the_median_of_what_exchanges_say() -> None:
    estimate = LinkEstimate()
    estimate.calibrate([0.010, 0.0101, 0.0102, 0.0099, 0.2])  # one was held up
    assert estimate.base_s == 0.0101
    assert estimate.noise_s == LEAST_NOISE_S
    assert estimate.bandwidth_bytes_per_s is None
    for seconds in (0.1101, 0.1101, 0.1101, 0.6101, 0.6101):
        estimate.observe(100_000, seconds, is_probe=False)
    assert estimate.bandwidth_bytes_per_s == pytest.approx(1e6)  # two that were held up change nothing
    estimate.observe(100_000, 0.5101, is_probe=False)
    assert estimate.bandwidth_bytes_per_s == pytest.approx(2e5)


def test_few_bytes_say_only_that_a_link_is_no_slower() -> None:
    estimate = LinkEstimate()
    found = estimate.observe(4000, 0.002, is_probe=True)
    assert found is not None
    assert (found.is_a_bound, found.bandwidth_bytes_per_s) == (True, pytest.approx(1e6))
    assert estimate.observe(400, 0.001, is_probe=True) is None  # no slower than something that is known to be exceeded
    assert estimate.observe(0, 0.3, is_probe=True) is None
    assert estimate.telling_bytes(most=1e9) == 8000
    assert estimate.telling_bytes(most=1e5) == 800


def test_what_a_link_gave_before_it_changed_is_forgotten() -> None:
    estimate = LinkEstimate()
    for n_bytes in (1000, 1000, 1000, 4000, 8000, 16_000):
        estimate.observe(n_bytes, 0.01, is_probe=True)
    assert estimate.bandwidth_bytes_per_s == pytest.approx(4e5)
    estimate.forget_all_but(3)
    assert estimate.bandwidth_bytes_per_s == pytest.approx(8e5)
    assert len(estimate.latest(5)) == 3


def test_a_choice_wants_a_gain(plans: Plans) -> None:
    choice = Choice.of(adaptive(plans))
    whole, none = choice.different()
    assert (whole.x1, none.x1, choice.planned) == (len(whole.edge_layers), 0, whole)
    assert choice.better(whole, 1e6) == none
    assert choice.better(none, 1e6) is None
    assert choice.better(whole, 196_000.0) is None  # 2 % better
    assert choice.better(none, 188_000.0) is None
    assert choice.better(none, 1e5) == whole
    assert [choice.at(bandwidth) for bandwidth in (1.0, 1e12)] == [whole, none]  # the ends reach on


def test_a_rule_that_is_not_about_latency_wants_to_be_sure(plans: Plans) -> None:
    choice = Choice.of(adaptive(plans, "slack:20"))
    whole, none = choice.different()
    assert choice.better(whole, 200_000.0) is None
    assert choice.better(whole, 220_000.0) == none


def test_a_plan_that_cannot_adapt_is_refused(plans: Plans) -> None:
    with pytest.raises(InputError, match="the plan has no policy to follow; lmos plan --policy"):
        Choice.of(plans(0))
    with pytest.raises(InputError, match="leave out --pipeline"):
        run_plan(adaptive(plans), ("127.0.0.1", 1), adapt=True, pipelined=True, networks=NETWORKS)


def test_a_policy_of_too_many_cuts_is_refused(plans: Plans) -> None:
    plan = adaptive(plans)
    assert plan.policy is not None
    data = plan.policy.to_dict()
    data["stretches"] = [{**data["stretches"][1], "low": k + 1.0, "high": k + 2.0, "edge_layers": [str(k)], "x1": 1}
                         for k in range(9)]  # fmt: skip
    with pytest.raises(InputError, match="changes between 10 cuts, and at most 8"):
        Choice.of(plan.model_copy(update={"policy": Policy.from_dict(data)}))


def test_the_memory_limit_holds_for_all_cuts_together(plans: Plans) -> None:
    from measurement.networks import build_network
    from measurement.tracing import trace_network
    from runner.parts.network import example_input
    from tests.runner.running import network_of

    plan = adaptive(plans)
    traced = trace_network(build_network(BRANCHED, "seeded:0", allow_code=True), example_input(network_of(plan).input))
    limited = plan.model_copy(update={"setting": plan.setting.model_copy(update={"memory_limit_bytes": 1000})})
    with pytest.raises(InputError, match=r"all cuts of the policy together need .* at the edge, the plan's limit is 1\.0 kB"):
        check_memory(plans_of(limited, Choice.all_of(limited)), traced)
    check_memory(plans_of(plan, Choice.all_of(plan)), traced)


@dataclass
class Link:
    """A link by formula, with noise, every twentieth exchange held up; in the scout's place."""

    rate: float
    noise_s: float
    drawn: random.Random = field(default_factory=lambda: random.Random(5))
    is_busy: bool = False
    sent: int = 0
    sent_bytes: int = 0
    longest_s: float = 0.0
    failed: tuple[str, ...] = ()
    _found: ProbeTime | None = None

    def seconds(self, n_bytes: int) -> float:
        held_up_s = 0.05 if self.drawn.random() < 0.05 else 0.0
        return 0.002 + n_bytes / self.rate + self.drawn.uniform(0.0, self.noise_s) + held_up_s

    def ask(self, n_bytes: int) -> None:
        self.is_busy, self._found = True, ProbeTime(n_bytes, self.seconds(n_bytes))
        self.sent, self.sent_bytes = self.sent + 1, self.sent_bytes + n_bytes
        self.longest_s = max(self.longest_s, self._found.seconds)

    def take(self, wait_s: float = 0.0) -> ProbeTime | None:
        found, self._found, self.is_busy = self._found, None, False
        return found


def steered(plans: Plans, rates: dict[int, float], n: int, noise_s: float = 0.0006) -> Steering:
    """n images by formula over a link that has a rate from some images on."""
    link = Link(rates[1], noise_s)
    steering = Steering([WatchedHop(Choice.of(adaptive(plans)), link)])  # type: ignore[arg-type]
    pipeline = Pipeline(Route(nn.Identity(), None, None), (), PATIENT)
    steering.begin(pipeline, [Route(nn.Identity(), None, None) for _ in range(2)])
    for number in range(1, n + 1):
        link.rate = rates.get(number, link.rate)
        steering.hops[0].probe_at = 0.0  # time stands still here
        assert pipeline.before is not None
        pipeline.before(number)
        n_bytes = steering.current.crossing_bytes
        if n_bytes:
            steering(Asked(peer="", number=number, attempt=1, sent_bytes=n_bytes))
        result = ImageResult(file="", class_=0, class_name=None, t_edge_s=0.004, t_server_s=0.0, latency_s=0.1,
                             t_tx_s=link.seconds(n_bytes) if n_bytes else 0.0)  # fmt: skip
        steering(ImageEnded(number=number, result=result))
    return steering


@pytest.mark.parametrize("noise_s", [0.0, 0.0006, 0.008])
def test_a_link_in_steps_is_followed(plans: Plans, noise_s: float) -> None:
    steering = steered(plans, {1: 6e4, 100: 6e6, 200: 6e4}, 300, noise_s)
    assert [change.x1_after == 0 for change in steering.changes] == [True, False]
    first, second = (change.at_image for change in steering.changes)
    assert 100 < first <= 102
    assert 200 < second <= 202
    assert "rule" not in steering.changes[0].reason
    assert "Mbps" in steering.changes[0].reason


@pytest.mark.parametrize(("rate", "noise_s", "most"), [
    (6e4, 0.008, 10), (1.7e5, 0.0006, 2), (1.92e5, 0.0006, 2), (1.92e5, 0.008, 10), (2.2e5, 0.0006, 2), (1e6, 0.008, 10),
])  # fmt: skip
def test_noise_alone_changes_next_to_nothing(plans: Plans, rate: float, noise_s: float, most: int) -> None:
    """Wherever the rate lies, also at the very place where both cuts are as good; the larger noise is twice an image's latency."""
    assert len(steered(plans, {1: rate}, 1000, noise_s).changes) <= most


def test_a_link_that_became_slow_is_not_held_up_by_what_tells_a_fast_one(plans: Plans) -> None:
    steering = steered(plans, {1: 6e6, 50: 6e4}, 100)
    assert [change.at_image for change in steering.changes[1:]] == [51]
    link = steering.hops[0].scout
    assert isinstance(link, Link)
    assert link.longest_s < 24_000 / 6e4 + 0.1  # one in the background; of those that look, each took twice as long


def test_a_link_that_is_already_another_is_noticed_before_the_first_image(plans: Plans) -> None:
    assert [change.at_image for change in steered(plans, {1: 6e6}, 10).changes] == [1]


# real runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_run_changes_its_cut_with_the_link_and_loses_nothing(server: ServerProcess, plans: Plans) -> None:
    link, n, seen = Pacer(Shape(6e4)), 200, []

    def watch(event: Event) -> None:
        if isinstance(event, CutChanged):
            seen.append(event)

    def tell(what: str, done: int, total: int) -> None:
        """The link is fast from the 50th image on, and slow again as soon as that was noticed."""
        if what == "running" and done >= 50 and len(seen) < 2:
            link.hold_to(6e4 if seen else 6e6)
            time.sleep(0.05)  # the scout has time to look, also on a busy machine

    report = run_plan(adaptive(plans), server.address, n=n, shape=link, networks=NETWORKS, timeouts=SHORT, adapt=True,
                      progress=tell, observers=[watch])  # fmt: skip
    assert (report.images, report.lost, report.fallbacks) == (n, 0, 0)
    cuts, whole = [image.cut for image in report.per_image], plans(-1).x1
    assert [(change.x1_before, change.x1_after) for change in report.adaptation[:2]] == [(whole, 0), (0, whole)]
    for change in report.adaptation:  # what the list says is what was run
        assert (cuts[change.at_image - 2], cuts[change.at_image - 1]) == (change.x1_before, change.x1_after)
    assert cuts[:50] == [whole] * 50
    alone = run_plan(plans(-1), server.address, n=n, networks=NETWORKS)
    assert [image.class_ for image in report.per_image] == [image.class_ for image in alone.per_image]
    assert report.adapted is not None
    assert report.adapted.cuts == (whole, 0)
    assert report.adapted.probes > 0
    assert {one.event for one in report.happened} == {"cut_changed"}
    assert RunReport.from_dict(report.to_dict()) == report


def test_a_run_whose_probes_are_refused_says_so(plans: Plans) -> None:
    """The server has room for the images' connection alone."""
    with thread_server(limits=replace(ORDINARY, connections=1)) as address:
        report = run_plan(adaptive(plans), address, n=3, networks=NETWORKS, timeouts=SHORT, adapt=True)
    assert (report.images, report.lost, report.adaptation) == (3, 0, ())
    assert {one.event for one in report.happened} == {"probe_failed"}
    assert re.search(r"^a probe of the link failed: .*1 peers are being served", report.happened[0].text)


@pytest.mark.process
def test_a_server_that_dies_takes_no_image_with_it(plans: Plans, tmp_path: Path) -> None:
    with server_process(tmp_path / "log") as dying:

        def tell(what: str, done: int, total: int) -> None:
            if what == "running" and done == 30:
                dying.process.send_signal(signal.SIGKILL)
                dying.process.wait()

        report = run_plan(adaptive(plans), dying.address, n=60, shape=Pacer(Shape(6e6)), networks=NETWORKS, timeouts=SHORT,
                          adapt=True, progress=tell)  # fmt: skip
    assert (report.images, report.lost) == (60, 0)
    assert report.adaptation[0].at_image == 1
    assert report.fallbacks == 30


@pytest.mark.process
def test_the_commands_make_and_follow_a_policy(server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, report = tmp_path / "plan.json", tmp_path / "report.json"
    made = ["plan", "squeezenet1_1", "--select", "cut:10", "--policy", "1Mbps..50Mbps", "-o", str(plan)]
    assert main(made) == 0
    assert "min_latency:" in capsys.readouterr().out
    assert Plan.load(plan).policy is not None
    run = ["run", str(plan), "--server", f"127.0.0.1:{server.port}", "--shape", "200Mbps", "-n", "4", "-o", str(report)]
    assert main([*run, "--adapt"]) == 0
    assert re.search(r"\d+ changes? of the cut between 10, ", capsys.readouterr().out)
    assert json.loads(report.read_text())["adapted"]["cuts"][0] == 10
    assert main([*run, "--adapt", "--pipeline"]) == 2
    assert "leave out --pipeline" in capsys.readouterr().err
    for wrong in ("1Mbps", "1Mbps..2Mbps..3Mbps"):
        assert main([*made[:5], wrong]) == 2
        assert f"--policy: '{wrong}' is not a range" in capsys.readouterr().err
