"""Between images: what the link gives now, and whether another cut is worth a change.

Every exchange of an image is an observation of the link. Where images send too little to tell (a whole network at the edge sends
nothing), a probe is under way beside the head's computing, at most PROBE_SHARE of the time, and as large as the noise
demands. An observation that speaks for another cut is checked at once by AGREE probes, so that one image that was held up
changes nothing, and a link that did change is followed with the next image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from lmos_opt.units import counted, format_rate, format_time
from runner.adaptation.cuts import Choice, Cut
from runner.adaptation.estimate import LinkEstimate, Observation
from runner.adaptation.scout import Scout
from runner.client.pipeline import Pipeline, Route
from runner.lab.probing.fit import ProbeTime
from runner.watching.events import Asked, CutChanged, Event, ImageEnded
from runner.watching.report import Adapted, CutChange, ImageResult

AGREE = 3
"""So many observations in a row must speak for a change."""
DWELL = 3
"""Images for which a cut stays at least."""
PROBE_SHARE = 0.1
"""The largest share of the time in which probes are on the link, where nothing else measures its rate."""
_EMPTY, _FIRST_BYTES, _GROWTH = 5, 4096, 4
_CHECK_S = 1.0
"""How long (s) the check of an observation may delay a run."""
_BEGINNING_S = 3.0


@dataclass
class Steering:
    """Changes the pipeline's route. Called with the number of each next image; told of every event.

    `back_bytes_per_s` is the plan's rate of the way back, which says nothing of the way there.
    """

    choice: Choice
    scout: Scout
    back_bytes_per_s: float | None = None
    changes: list[CutChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.current: Cut = self.choice.planned
        self.estimate = LinkEstimate()
        self._pipeline: Pipeline | None = None
        self._routes: dict[tuple[str, ...], Route] = {}
        self._sent: dict[int, int] = {}
        self._last: Observation | None = None
        self._began_at = self._probe_at = 0.0
        self._asked_at = 0.0
        self._changed_at: int | None = None

    @property
    def adapted(self) -> Adapted:
        """What the run could adapt to, for its report."""
        return Adapted(rule=self.choice.policy.rule, cuts=tuple(cut.x1 for cut in self.choice.different()),
                       probes=self.scout.sent, probed_bytes=self.scout.sent_bytes)  # fmt: skip

    def begin(self, pipeline: Pipeline, routes: Iterable[Route]) -> None:
        """Measure the link, and steer this pipeline from now on; the routes are those of the different cuts, in their order."""
        self._pipeline = pipeline
        self._routes = {cut.edge_layers: route for cut, route in zip(self.choice.different(), routes, strict=True)}
        end = time.monotonic() + _BEGINNING_S
        empty = [found.seconds for _ in range(_EMPTY) if (found := self._probe(0, end - time.monotonic())) is not None]
        if empty:
            self.estimate.calibrate(empty)
            self._look(end)
        pipeline.before, self._began_at = self.before, time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Take in what an image's exchange says."""
        if isinstance(event, Asked):
            self._sent[event.number] = event.sent_bytes
        elif isinstance(event, ImageEnded):
            n_bytes, result = self._sent.pop(event.number, 0), event.result
            if isinstance(result, ImageResult) and result.finished_at == "plan" and not result.retries and n_bytes:
                t_back_s = (result.received_bytes or 0) / self.back_bytes_per_s if self.back_bytes_per_s else 0.0
                self._observe(n_bytes, max(result.t_tx_s - t_back_s, 0.0), is_probe=False)

    def before(self, number: int) -> None:
        """Decide on the cut of the image with this number."""
        self._take(0.0)
        if self._last is not None and (self._last.is_a_bound or self._better(self._last.bandwidth_bytes_per_s) is not None):
            self._look(time.monotonic() + _CHECK_S, self._last.bandwidth_bytes_per_s)
        self._last = None
        if self._changed_at is None or number - self._changed_at >= DWELL:
            self._decide(number)
        for route in self._routes.values():  # what nobody asks stays open, and is opened again after a fault
            if route.connection is not None and route is not self._routes[self.current.edge_layers]:
                route.connection.step(0.0)
        least = self._telling_bytes() // 2
        if not 0 < least <= self.current.crossing_bytes and not self.scout.is_busy and time.monotonic() >= self._probe_at:
            self._ask(max(least, _FIRST_BYTES))

    def _better(self, bandwidth: float) -> Cut | None:
        """A cut that is worth a change at a bandwidth and whose connection is open."""
        cut = self.choice.better(self.current, bandwidth)
        if cut is None:
            return None
        connection = self._routes[cut.edge_layers].connection
        return cut if connection is None or connection.is_open else None

    def _decide(self, number: int) -> None:
        bandwidth, seen = self.estimate.bandwidth_bytes_per_s, self.estimate.latest(AGREE)
        if bandwidth is None or len(seen) < AGREE:
            return
        cut = self._better(bandwidth)
        if cut is None or any(self.choice.better(self.current, one.bandwidth_bytes_per_s) is None for one in seen):
            return
        before, after = self.current.latency_s(bandwidth), cut.latency_s(bandwidth)
        least = "at least " if all(one.is_a_bound for one in seen) else "about "
        probes = sum(one.is_probe for one in seen)
        told_by = f"{counted(len(seen) - probes, 'image')} and {counted(probes, 'probe')}"
        reason = (f"the link gives {least}{format_rate(bandwidth)} ({told_by} say so), "
                  f"where {self.choice.policy.rule} chooses this cut: {format_time(after)} in place of {format_time(before)}")
        change = CutChange(at_image=number, at_s=time.perf_counter() - self._began_at, x1_before=self.current.x1, x1_after=cut.x1,
                           bandwidth_bytes_per_s=bandwidth, predicted_before_s=before, predicted_after_s=after,
                           reason=reason)  # fmt: skip
        self.changes.append(change)
        assert self._pipeline is not None
        self._pipeline.events.tell(CutChanged(number=number, before=self.current.x1, after=cut.x1, reason=reason,
                                              bandwidth_bytes_per_s=bandwidth))  # fmt: skip
        self.current, self._changed_at = cut, number
        self._pipeline.route = self._routes[cut.edge_layers]

    # exchanges -------------------------------------------------------------------------------------------------------

    def _observe(self, n_bytes: int, seconds: float, is_probe: bool) -> Observation | None:
        found = self.estimate.observe(n_bytes, seconds, is_probe)
        self._last = found or self._last
        return found

    def _telling_bytes(self, suspected: float = math.inf) -> int:
        """How many bytes tell the rate, as far as it matters to the policy, and if it is no more than suspected (B/s)."""
        return self.estimate.telling_bytes(min(self.choice.policy.high, suspected))

    def _look(self, end: float, suspected: float = math.inf) -> None:
        """Probe until AGREE observations were made, which then are all that counts, or until `end` (monotonic clock).

        Probes are small enough for the rate that is suspected (B/s), and larger where one was too small to tell: what tells a
        fast link would hold up a slow one, and the image after it.
        """
        n_bytes, made = max(self._telling_bytes(suspected), _FIRST_BYTES), 0
        while made < AGREE and (exchange := self._probe(n_bytes, end - time.monotonic())) is not None:
            found = self._observe(exchange.n_bytes, exchange.seconds, is_probe=True)
            if found is not None and not found.is_a_bound:
                made += 1
            elif n_bytes >= self.estimate.enough_bytes(self.choice.policy.high):
                return  # faster than matters
            else:
                n_bytes *= _GROWTH
        if made == AGREE:
            self.estimate.forget_all_but(AGREE)

    def _probe(self, n_bytes: int, within_s: float) -> ProbeTime | None:
        """One probe that is waited for; None where it takes longer, or failed."""
        if within_s <= 0:
            return None
        self._take(within_s)
        self._ask(n_bytes)
        found = self.scout.take(within_s)
        self._pause(found)
        return found

    def _ask(self, n_bytes: int) -> None:
        self._asked_at = time.monotonic()
        self.scout.ask(n_bytes)

    def _take(self, wait_s: float) -> None:
        """What a probe that was under way says."""
        exchange = self.scout.take(wait_s)
        self._pause(exchange)
        if exchange is not None:
            self._observe(exchange.n_bytes, exchange.seconds, is_probe=True)

    def _pause(self, exchange: ProbeTime | None) -> None:
        """The next probe in the background keeps PROBE_SHARE."""
        if exchange is not None:
            self._probe_at = self._asked_at + max(exchange.seconds - self.estimate.base_s, 0.0) / PROBE_SHARE
