"""Adaptation between two images: the present rates of the hops, and whether a change to another cut is worth it.

Every exchange of an image is an observation of the hops that it passes. This side observes the first hop. The places before later
hops observe those, and their times come with the answer. If images send too few bytes (a whole network at the edge sends none),
probes are sent while the head computes. They take at most PROBE_SHARE of the time, and are as large as the noise requires. If an
observation favours another cut, AGREE probes check it at once. So a single delayed image changes nothing, and a real change of the
link has its effect on the next image.

A policy is over the bandwidth of one hop, with the other hops as in the plan's setting. If there are several policies, that of the
hop whose rate is farthest from the setting is followed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from lmos_opt.units import counted, format_rate, format_time
from runner.adaptation.cuts import Choice, Cut, different
from runner.adaptation.hop import AGREE, WatchedHop
from runner.client.pipeline import Pipeline, Route
from runner.watching.events import Asked, CutChanged, Event, ImageEnded, ProbeFailed
from runner.watching.report import Adapted, CutChange, ImageResult

DWELL = 3
"""Images for which a cut stays at least."""
_CHECK_S = 1.0
"""How long (s) the check of an observation may delay a run."""


@dataclass
class Steering:
    """Changes the pipeline's route. Called with the number of each next image; told of every event. Inside its block the hops'
    scouts probe."""

    hops: Sequence[WatchedHop]
    changes: list[CutChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.choice: Choice = self.hops[0].choice
        self.current: Cut = self.choice.planned
        self._pipeline: Pipeline | None = None
        self._routes: dict[tuple[tuple[str, ...], ...], Route] = {}
        self._sent: dict[int, int] = {}
        self._crossed: dict[int, int] = {}
        self._scouts = ExitStack()
        self._began_at = 0.0
        self._changed_at: int | None = None

    def __enter__(self) -> Self:
        for hop in self.hops:
            self._scouts.enter_context(hop.scout)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._scouts.close()

    @property
    def choices(self) -> list[Choice]:
        """The policies' choices, one a hop."""
        return [hop.choice for hop in self.hops]

    @property
    def adapted(self) -> Adapted:
        """What the run could adapt to, for its report."""
        cuts = different(self.choices)
        return Adapted(rule=self.choice.policy.rule, cuts=tuple(cut.x1 for cut in cuts),
                       counts=tuple(_counts(cut) for cut in cuts if cut.later_layers),
                       probes=sum(hop.scout.sent for hop in self.hops),
                       probed_bytes=sum(hop.scout.sent_bytes for hop in self.hops))  # fmt: skip

    def begin(self, pipeline: Pipeline, routes: Iterable[Route]) -> None:
        """Measure the hops, and steer this pipeline from now on; the routes are those of the different cuts, in their order."""
        self._pipeline = pipeline
        self._routes = {cut.places: route for cut, route in zip(different(self.choices), routes, strict=True)}
        for hop in self.hops:
            hop.begin()
        pipeline.before, self._began_at = self.before, time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Add the exchange of an image to the estimates."""
        if isinstance(event, Asked):
            self._sent[event.number] = event.sent_bytes
        elif isinstance(event, ImageEnded):
            n_bytes, result = self._sent.pop(event.number, 0), event.result
            if isinstance(result, ImageResult) and result.finished_at == "plan" and not result.retries:
                self._note(n_bytes, result)

    def _note(self, n_bytes: int, result: ImageResult) -> None:
        ways = [(n_bytes, result.t_tx_s), *((span.sent_bytes or 0, span.t_tx_s) for span in result.beyond)]
        for hop in self.hops:
            sent_bytes, t_tx_s = ways[hop.choice.hop - 1] if hop.choice.hop <= len(ways) else (0, 0.0)
            self._crossed[hop.choice.hop] = sent_bytes
            if sent_bytes:
                hop.note(sent_bytes, t_tx_s, result.received_bytes or 0)

    def before(self, number: int) -> None:
        """Decide on the cut of the image with this number."""
        for hop in self.hops:
            hop.take(0.0)
            self._tell_failed(hop)
            if hop.last is not None and (hop.last.is_a_bound or self._better(hop, hop.last.bandwidth_bytes_per_s) is not None):
                hop.look(time.monotonic() + _CHECK_S, hop.last.bandwidth_bytes_per_s)
            hop.last = None
        if self._changed_at is None or number - self._changed_at >= DWELL:
            self._decide(number, max(self.hops, key=lambda hop: hop.deviation))
        for route in self._routes.values():  # connections that are not used stay open, and are opened again after a fault
            if route.connection is not None and route is not self._routes[self.current.places]:
                route.connection.step(0.0)
        for hop in self.hops:
            here = self._here(hop)
            hop.probe_beside(here.crossing_bytes if here else 0)

    def _tell_failed(self, hop: WatchedHop) -> None:
        """Say which probes were not answered: without them a run looks as if its link had not changed."""
        while hop.scout.failed and self._pipeline is not None:
            self._pipeline.events.tell(ProbeFailed(reason=hop.scout.failed.popleft()))

    def _here(self, hop: WatchedHop) -> Cut | None:
        """The current cut as a cut over a hop's bandwidth; None as long as its bytes on this hop are not known."""
        return hop.choice.as_here(self.current, self.choice, self._crossed.get(hop.choice.hop))

    def _better(self, hop: WatchedHop, bandwidth: float) -> Cut | None:
        """A cut that is worth a change at a bandwidth of the hop and whose connection is open."""
        here = self._here(hop)
        cut = None if here is None else hop.choice.better(here, bandwidth)
        if cut is None or cut.places == self.current.places:
            return None
        connection = self._routes[cut.places].connection
        return cut if connection is None or connection.is_open else None

    def _decide(self, number: int, hop: WatchedHop) -> None:
        bandwidth, seen = hop.estimate.bandwidth_bytes_per_s, hop.estimate.latest(AGREE)
        here, choice = self._here(hop), hop.choice
        if bandwidth is None or len(seen) < AGREE or here is None:
            return
        cut = self._better(hop, bandwidth)
        if cut is None or any(choice.better(here, one.bandwidth_bytes_per_s) is None for one in seen):
            return
        before, after = here.latency_s(bandwidth), cut.latency_s(bandwidth)
        least = "at least " if all(one.is_a_bound for one in seen) else "about "
        probes = sum(one.is_probe for one in seen)
        told_by = f"{counted(len(seen) - probes, 'image')} and {counted(probes, 'probe')}"
        link = f"hop {choice.hop}" if cut.later_layers else "the link"
        reason = (f"{link} gives {least}{format_rate(bandwidth)} ({told_by} say so), "
                  f"where {choice.policy.rule} chooses this cut: {format_time(after)} in place of {format_time(before)}")
        change = CutChange(at_image=number, at_s=time.perf_counter() - self._began_at, x1_before=self.current.x1, x1_after=cut.x1,
                           bandwidth_bytes_per_s=bandwidth, predicted_before_s=before, predicted_after_s=after, reason=reason,
                           hop=choice.hop, counts_before=_counts(self.current), counts_after=_counts(cut))  # fmt: skip
        self.changes.append(change)
        assert self._pipeline is not None
        self._pipeline.events.tell(CutChanged(number=number, before=self.current.x1, after=cut.x1, reason=reason,
                                              bandwidth_bytes_per_s=bandwidth))  # fmt: skip
        self.current, self.choice, self._changed_at = cut, choice, number
        self._crossed.clear()
        self._pipeline.route = self._routes[cut.places]


def _counts(cut: Cut) -> tuple[int, ...]:
    """The number of layers of each place; empty for two places, because `x1` says it."""
    return tuple(map(len, cut.places)) if cut.later_layers else ()
