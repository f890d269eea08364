"""A hop whose rate is estimated during a run, from images, and from probes if images send too few bytes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from runner.adaptation.cuts import Choice
from runner.adaptation.estimate import LinkEstimate, Observation
from runner.adaptation.scout import Scout
from runner.lab.probing.fit import ProbeTime

AGREE = 3
"""So many observations in a row must speak for a change."""
PROBE_SHARE = 0.1
"""The largest share of the time in which probes are on the link, where nothing else measures its rate."""
_EMPTY, _FIRST_BYTES, _GROWTH = 5, 4096, 4
_BEGINNING_S = 3.0


@dataclass
class WatchedHop:
    """One hop: the choice by its policy, the scout that sends probes over it, and the estimate of its rate.

    `back_bytes_per_s` is the plan's rate of the way back, which says nothing of the way there. `last` is what was seen since it was
    last looked at.
    """

    choice: Choice
    scout: Scout
    back_bytes_per_s: float | None = None

    def __post_init__(self) -> None:
        self.estimate = LinkEstimate()
        self.last: Observation | None = None
        self.probe_at = self._asked_at = 0.0

    @property
    def deviation(self) -> float:
        """The absolute logarithm of the ratio of the estimated rate and the setting's rate.

        0 if there is no estimate yet, or if exchanges were too short to tell the two rates apart.
        """
        bandwidth, seen = self.estimate.bandwidth_bytes_per_s, self.estimate.latest(AGREE)
        if bandwidth is None or len(seen) < AGREE:
            return 0.0
        is_a_bound = all(one.is_a_bound for one in seen)
        return 0.0 if is_a_bound and bandwidth < self.choice.bandwidth else abs(math.log(bandwidth / self.choice.bandwidth))

    def begin(self) -> None:
        """Measure empty exchanges and the rate, before the first image."""
        end = time.monotonic() + _BEGINNING_S
        empty = [found.seconds for _ in range(_EMPTY) if (found := self._probe(0, end - time.monotonic())) is not None]
        if empty:
            self.estimate.calibrate(empty)
            self.look(end)

    def note(self, n_bytes: int, t_tx_s: float, back_bytes: int) -> None:
        """Add an image's exchange to the estimate. `t_tx_s` is its time on the hop, both ways (s)."""
        t_back_s = back_bytes / self.back_bytes_per_s if self.back_bytes_per_s else 0.0
        self._observe(n_bytes, max(t_tx_s - t_back_s, 0.0), is_probe=False)

    def look(self, end: float, suspected: float = math.inf) -> None:
        """Probe until there are AGREE observations, or until `end` (s, monotonic clock). Earlier observations are then dropped.

        The first probe is small enough for the suspected rate (B/s), because a large probe would block a slow link and delay the
        next image. If a probe is too small to show the rate, the next one is larger.
        """
        n_bytes, made = max(self._telling_bytes(suspected), _FIRST_BYTES), 0
        while made < AGREE and (exchange := self._probe(n_bytes, end - time.monotonic())) is not None:
            found = self._observe(exchange.n_bytes, exchange.seconds, is_probe=True)
            if found is not None and not found.is_a_bound:
                made += 1
            elif n_bytes >= self.estimate.enough_bytes(self.choice.policy.high):
                return  # faster than the policy's range
            else:
                n_bytes *= _GROWTH
        if made == AGREE:
            self.estimate.forget_all_but(AGREE)

    def take(self, wait_s: float) -> None:
        """Add the probe that is under way to the estimate, if it is over within `wait_s` (s)."""
        exchange = self.scout.take(wait_s)
        self._pause(exchange)
        if exchange is not None:
            self._observe(exchange.n_bytes, exchange.seconds, is_probe=True)

    def probe_beside(self, crossing_bytes: int) -> None:
        """Send a probe, if images of `crossing_bytes` are too small to show the rate, none is under way, and it is time for one."""
        least = self._telling_bytes() // 2
        if not 0 < least <= crossing_bytes and not self.scout.is_busy and time.monotonic() >= self.probe_at:
            self._ask(max(least, _FIRST_BYTES))

    def _observe(self, n_bytes: int, seconds: float, is_probe: bool) -> Observation | None:
        found = self.estimate.observe(n_bytes, seconds, is_probe)
        self.last = found or self.last
        return found

    def _telling_bytes(self, suspected: float = math.inf) -> int:
        """The number of bytes that show the rate, if it is at most `suspected` (B/s) and within the policy's range."""
        return self.estimate.telling_bytes(min(self.choice.policy.high, suspected))

    def _probe(self, n_bytes: int, within_s: float) -> ProbeTime | None:
        """Send a probe and wait for it. None if it takes longer than `within_s` (s), or fails."""
        if within_s <= 0:
            return None
        self.take(within_s)
        self._ask(n_bytes)
        found = self.scout.take(within_s)
        self._pause(found)
        return found

    def _ask(self, n_bytes: int) -> None:
        self._asked_at = time.monotonic()
        self.scout.ask(n_bytes)

    def _pause(self, exchange: ProbeTime | None) -> None:
        """The next probe in the background keeps PROBE_SHARE."""
        if exchange is not None:
            self.probe_at = self._asked_at + max(exchange.seconds - self.estimate.base_s, 0.0) / PROBE_SHARE
