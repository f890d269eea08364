"""Links over time: messages, pacing and protocol are the real ones; time is played."""

from __future__ import annotations

from collections import deque

import pytest

from lmos_opt.errors import InputError
from lmos_opt.traces.record import LinkTrace
from runner.client.probe_client import ProbeClient
from runner.errors import RunnerError
from runner.lab.recording import Recording, Seen, record_link, trace_of, trace_of_report
from runner.lab.replaying import shape_of
from runner.machine import this_machine
from runner.watching.report import Environment, Outcome, make_report
from runner.wire.shaping import Pacer
from tests.runner.client.playing import ADDRESS, TIMEOUTS, PlayedStreams, honest
from tests.runner.running import BRANCHED, Plans
from tests.runner.watching.test_plots import image


def test_a_replayed_trace_is_recorded_as_it_was() -> None:
    trace = LinkTrace.of_steps("t", "", [(4.0, 1e6), (4.0, 2.5e5), (4.0, 4e6)], rtt_s=(0.02, 0.02, 0.02))
    streams = PlayedStreams(deque([honest]))
    pacer = Pacer(shape_of(trace), streams.now)
    with ProbeClient(ADDRESS, pacer, TIMEOUTS, streams=streams) as remote:
        pacer.start()
        seen = record_link(remote, Recording(24.0))
    found = trace_of(seen, "again", "played", 24.0)
    assert 20 <= len(found.seconds) <= 24
    for at_s, rate in zip(found.seconds, found.rate_bytes_per_s, strict=True):
        if at_s % 4 < 3:  # a probe may see two steps of the trace
            assert rate == pytest.approx(trace.rate_bytes_per_s[int(at_s % 12 // 4)], rel=0.05)
    assert found.rtt_s == pytest.approx([0.02] * len(found.seconds), abs=0.002)


def test_the_rate_of_an_exchange_holds_until_the_next_one() -> None:
    found = trace_of([Seen(1.0, 100.0), Seen(2.5, 50.0), Seen(3.0, 200.0)], "t", "by hand", 5.0)
    assert (found.seconds, found.rate_bytes_per_s, found.ends_s, found.rtt_s) == ((0.0, 1.5, 2.0), (100.0, 50.0, 200.0), 4.0, None)
    with pytest.raises(RunnerError, match="no exchange"):
        trace_of([], "t", "", 1.0)


def test_a_run_saw_its_link_image_by_image() -> None:
    """By hand: images begin every quarter of a second, take 0.25 s at the edge, wait 0.25 k s, and 0.5 s on the way."""
    plan = Plans(BRANCHED)(2)
    rtt_s = plan.setting.rtt_s
    images = [image(k).model_copy(update={"sent_bytes": 1000 * k}) for k in range(1, 4)]
    fallen = images[0].model_copy(update={"finished_at": "edge", "began_s": 0.1})
    environment = Environment(started="2026-01-01T00:00:00+00:00", edge=this_machine(1), server=None, server_address=None,
                              shape=None, weights="seeded:0: random", seed=0, images="pictures")  # fmt: skip
    found = trace_of_report(make_report(plan, Outcome([fallen, *images], [1]), environment), "run")
    assert found.seconds == (0.0, 0.5, 1.0)
    assert found.rate_bytes_per_s == pytest.approx([1000 * k / (0.5 - rtt_s) for k in (1, 2, 3)])
    assert found.ends_s == pytest.approx(0.75 + images[-1].latency_s - 0.75)
    with pytest.raises(InputError, match="no image that was sent over a link"):
        trace_of_report(make_report(plan, Outcome([fallen], [1]), environment), "run")
