"""Over three places: which hop became slow is found, and its policy followed."""

from __future__ import annotations

import pytest
from torch import nn

from lmos_opt import Plan
from lmos_opt.policies.policy import Policy
from runner.adaptation.cuts import Choice, different, plans_of
from runner.adaptation.hop import WatchedHop
from runner.adaptation.steering import Steering
from runner.client.pipeline import Pipeline, Route
from runner.places.edge import run_plan
from runner.places.onward import Next
from runner.watching.events import Asked, CutChanged, Event, ImageEnded
from runner.watching.report import ImageResult
from runner.wire.protocol import Span
from runner.wire.shaping import Pacer, Shape
from runner.wire.timeouts import PATIENT
from tests.runner.adaptation.test_steering import SHORT, Link
from tests.runner.places.test_middle import planned
from tests.runner.running import BRANCHED, Plans, thread_server

pytestmark = pytest.mark.usefixtures("one_torch_thread")
FAST = 6e6


def adaptive(plans: Plans) -> Plan:
    """All at the third place (768 bytes over each hop); all at the first, or at the second one, where the way on gives less than
    1.5 Mbit/s, which take 4 ms more."""
    n, plan = len(plans.instance.names), planned(plans, [0, 0])
    names = [*plan.edge_layers, *(name for place in plan.later_layers for name in place)]
    there: list[list[str]] = [[], [], names]

    def policy(over: str, slow: list[list[str]]) -> Policy:
        stretches = [{"low": low, "high": high, "places": places, **{f"x{p}": len(place) for p, place in enumerate(places, 1)},
                      "edge_layers": places[0], "fixed_s": fixed_s, "crossing_bytes": size, "memory_bytes": 1}
                     for low, high, places, fixed_s, size in ((1e4, 192_000.0, slow, 0.004, 0), (192_000.0, 2.5e7, there, 0.0, 768))
                     ]  # fmt: skip
        return Policy.from_dict({"schema": "lmos.policy/1", "instance": "branched", "rule": "min_latency", "over": over,
                                 "memory_model": "sum", "proper_split": False, "bandwidth_bytes_per_s": None,
                                 "memory_limit_bytes": None, "stretches": stretches})  # fmt: skip

    assert n == len(names)
    hops = [hop.model_copy(update={"bandwidth_bytes_per_s": FAST}) for hop in plan.setting.hops]
    return plan.model_copy(update={
        "policy": policy("bandwidth", [names, [], []]), "later_policies": (policy("bandwidth:2", [[], names, []]),),
        "setting": plan.setting.model_copy(update={"hops": tuple(hops), "bandwidth_bytes_per_s": FAST}),
        "predicted": plan.predicted | {"latency_s": 2 * 768 / FAST},
    })  # fmt: skip


def test_cuts_of_all_hops_policies_are_held_ready(plans: Plans) -> None:
    plan = adaptive(plans)
    choices = Choice.all_of(plan)
    assert [choice.hop for choice in choices] == [1, 2]
    counts = [[len(place) for place in cut.places] for cut in different(choices)]
    n = plan.n_layers
    assert counts == [[0, 0, n], [n, 0, 0], [0, n, 0]]
    assert [list(one.counts) for one in plans_of(plan, choices)] == counts


def test_a_cut_of_one_hops_policy_is_known_over_another_hop_by_what_crosses(plans: Plans) -> None:
    first, second = Choice.all_of(adaptive(plans))
    here = first.cuts[0]
    assert here is not None
    found = second.as_here(here, first, 0)
    assert found is not None
    assert (found.fixed_s, found.crossing_bytes) == (pytest.approx(0.004), 0)
    assert second.as_here(here, first, None) is None


@pytest.mark.parametrize(("slow", "counts"), [(1, (1, 0, 0)), (2, (0, 1, 0))])
def test_the_hop_that_became_slow_is_found(slow: int, counts: tuple[int, ...], plans: Plans) -> None:
    plan = adaptive(plans)
    links = [Link(FAST, 0.0006), Link(FAST, 0.0006)]
    steering = Steering([WatchedHop(choice, link) for choice, link in zip(Choice.all_of(plan), links, strict=True)])  # type: ignore[arg-type]
    pipeline = Pipeline(Route(nn.Identity(), None, None), (), PATIENT)
    steering.begin(pipeline, [Route(nn.Identity(), None, None) for _ in range(3)])
    for number in range(1, 301):
        links[slow - 1].rate = 6e4 if 100 <= number < 200 else FAST
        for hop in steering.hops:
            hop.probe_at = 0.0  # time stands still here
        assert pipeline.before is not None
        pipeline.before(number)
        ways = [0 if all(len(place) == 0 for place in steering.current.places[h:]) else 768 for h in (1, 2)]
        if ways[0]:
            steering(Asked(peer="", number=number, attempt=1, sent_bytes=ways[0]))
        t_s = [link.seconds(size) if size else 0.0 for link, size in zip(links, ways, strict=True)]
        steering(ImageEnded(number=number, result=ImageResult(
            file="", class_=0, class_name=None, t_edge_s=0.004, t_server_s=0.0, latency_s=0.1, t_tx_s=t_s[0],
            beyond=(Span(t_tx_s=t_s[1], t_server_s=0.0, sent_bytes=ways[1]),))))  # fmt: skip
    n = plan.n_layers
    assert [(change.hop, change.counts_after) for change in steering.changes] == [
        (slow, tuple(n * share for share in counts)), (slow, (0, 0, n))]
    first, second = (change.at_image for change in steering.changes)
    assert 100 < first <= 102
    assert 200 < second <= 204
    assert f"hop {slow} gives about" in steering.changes[0].reason


def test_a_run_over_three_places_follows_its_second_hop(plans: Plans) -> None:
    second_hop, n, seen = Pacer(Shape(FAST)), 120, []

    def watch(event: Event) -> None:
        if isinstance(event, CutChanged):
            seen.append(event)

    def tell(what: str, done: int, total: int) -> None:
        if what == "running" and done == 20:
            second_hop.hold_to(3e4)

    with thread_server() as last, thread_server(to=Next(address=last, shape=second_hop)) as middle:  # type: ignore[arg-type]
        report = run_plan(adaptive(plans), middle, n=n, networks=[BRANCHED], timeouts=SHORT, adapt=True, progress=tell,
                          observers=[watch])  # fmt: skip
    assert (report.images, report.lost, report.fallbacks) == (n, 0, 0)
    assert report.adapted is not None
    assert report.adapted.counts[0] == (0, 0, report.plan.n_layers)
    assert any((change.hop, change.counts_after) == (2, (0, report.plan.n_layers, 0)) for change in report.adaptation)
