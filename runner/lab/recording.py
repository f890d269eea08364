"""A link over time as the runner sees it: from probes every so often, or from the exchanges of a run that took place.

A step's rate is that of one exchange: its bytes over its time beyond an empty exchange's. It holds until the next step begins, so
that an exchange under way in an outage stands for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lmos_opt.device import Source
from lmos_opt.errors import InputError
from lmos_opt.traces.record import LinkTrace
from runner.client.probe_client import ProbeClient
from runner.errors import RunnerError
from runner.watching.report import RunReport
from runner.wire.protocol.turns import LARGEST_PROBE_BYTES

_FIRST_BYTES, _GROWTH, _TELLING_S = 16_384, 4, 0.01
"""The first probe is so large; where bytes take less than that, the next one is so much larger."""


@dataclass(frozen=True)
class Seen:
    """One exchange: when it began (s), the rate that it saw (B/s), and the time of an empty one (s), where that is known."""

    at_s: float
    rate_bytes_per_s: float
    rtt_s: float | None = None


@dataclass(frozen=True)
class Recording:
    """For how long a link is recorded (s), how often it is probed (s), and what share of that time probes may take."""

    lasts_s: float = 60.0
    every_s: float = 1.0
    share: float = 0.2


def record_link(remote: ProbeClient, how: Recording, tell: Callable[[float], None] = lambda seconds: None) -> list[Seen]:
    """What a server's link gives; `tell` is called with how long it has been recorded (s).

    Two probes a step: an empty one, and one whose bytes take about `share` of the step if the link is as it was. RunnerError where
    the server cannot be reached, or does not answer within what an image may take.
    """
    remote.probe(0, 0)  # the connection is made, and a shape's first delay spent
    began, found, n_bytes = remote.now(), list[Seen](), _FIRST_BYTES
    while (at_s := remote.now() - began) < how.lasts_s - how.every_s / 2:
        tell(at_s)
        base_s = _beyond(remote.probe(0, 0))
        while True:
            bytes_s = _beyond(remote.probe(n_bytes, 0)) - base_s
            if bytes_s >= _TELLING_S or n_bytes >= LARGEST_PROBE_BYTES:
                break
            n_bytes = min(n_bytes * _GROWTH, LARGEST_PROBE_BYTES)
        rate = n_bytes / max(bytes_s, 1e-6)
        found.append(Seen(at_s, rate, base_s))
        n_bytes = min(max(int(rate * how.share * how.every_s), _FIRST_BYTES // _GROWTH), LARGEST_PROBE_BYTES)
        while (wait_s := began + at_s + how.every_s - remote.now()) > 0:
            remote.step(wait_s)
    return found


def trace_of(seen: Sequence[Seen], name: str, told: str, lasts_s: float) -> LinkTrace:
    """The trace of exchanges. RunnerError if there is none."""
    if not seen:
        raise RunnerError(name, "no exchange says anything about its rate")
    first, known = seen[0].at_s, all(one.rtt_s is not None for one in seen)
    at_s = [one.at_s - first for one in seen]
    kept = [k for k, (one, later) in enumerate(pairwise([*at_s, max(lasts_s - first, at_s[-1] + 1e-3)])) if later > one]
    return LinkTrace(schema="lmos.trace/1", name=name, description=f"measured: {told}", seconds=tuple(at_s[k] for k in kept),
                     rate_bytes_per_s=tuple(seen[k].rate_bytes_per_s for k in kept),
                     rtt_s=tuple(seen[k].rtt_s or 0.0 for k in kept) if known else None,
                     ends_s=max(lasts_s - first, at_s[-1] + 1e-3),
                     sources=(Source(what="seconds, rate_bytes_per_s, rtt_s", source=told),))  # fmt: skip


def trace_of_report(report: RunReport, name: str) -> LinkTrace:
    """The trace of a run's first hop, from the exchanges of its images. The fixed cost of an exchange is the plan's own assumption.

    InputError if the report has no image that went over the link as planned.
    """
    rtt_s = report.plan.setting.every_hop[0].rtt_s
    seen, ends_s = list[Seen](), 0.0
    for image in report.per_image:
        if image.began_s is None or not image.sent_bytes or image.finished_at != "plan" or image.t_tx_s <= rtt_s:
            continue
        at_s = image.began_s + image.t_edge_s + image.t_queue_s
        seen.append(Seen(at_s, image.sent_bytes / (image.t_tx_s - rtt_s)))
        ends_s = max(ends_s, image.began_s + image.latency_s)
    if not seen:
        raise InputError(name, "has no image that was sent over a link: nothing is known of its rate")
    seen.sort(key=lambda one: one.at_s)
    network = report.plan.network.name if report.plan.network else "a plan"
    told = f"the exchanges of a run of {network} on {report.environment.started}"
    return trace_of(seen, name, f"{told}; bytes over their time, less {rtt_s:g} s", ends_s)


def _beyond(probed: tuple[float, float]) -> float:
    """An exchange's time (s) without the server's own span."""
    seconds, t_server_s = probed
    return max(seconds - t_server_s, 0.0)
