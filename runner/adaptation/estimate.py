"""What the link gives, from exchanges as they come: bytes, and the time that they took beyond an empty exchange."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST_NOISE_S = 0.001
"""Clocks, threads and queues of an idle machine are off by less."""
TELLING = 4.0
"""Bytes that take this many times the noise tell the rate within a quarter; shorter ones only that it is not lower."""
SURE = 2.0
"""With this many times the noise added, an exchange that is too short to tell still says from which rate on a link is."""
KEPT = 5
"""Observations that the estimate is the median of: two that are off change nothing, three that agree do."""


@dataclass(frozen=True)
class Observation:
    """One exchange's word on the rate (B/s): about this much, or, where it `is_a_bound`, no less."""

    bandwidth_bytes_per_s: float
    is_a_bound: bool
    is_probe: bool


class LinkEstimate:
    """An estimate of the rate from edge to server (B/s).

    `base_s` is the time (s) of an empty exchange, `noise_s` how much such times differ (s).
    """

    def __init__(self) -> None:
        self.base_s, self.noise_s = 0.0, LEAST_NOISE_S
        self._kept: deque[Observation] = deque(maxlen=KEPT)

    def calibrate(self, empty_s: Sequence[float]) -> None:
        """Note the times (s) of empty exchanges: their median is the base, their distances from it the noise."""
        self.base_s = median(empty_s)
        self.noise_s = max(LEAST_NOISE_S, *(abs(one - self.base_s) for one in sorted(empty_s)[:-1]))  # one may be held up

    def observe(self, n_bytes: int, seconds: float, is_probe: bool) -> Observation | None:
        """Add an exchange of this many bytes and seconds. None if it says nothing new."""
        bytes_s, known = max(seconds - self.base_s, 0.0), self.bandwidth_bytes_per_s
        is_a_bound = bytes_s < TELLING * self.noise_s
        bandwidth = n_bytes / (bytes_s + is_a_bound * SURE * self.noise_s)
        if n_bytes == 0 or (is_a_bound and known is not None and bandwidth <= known):
            return None
        found = Observation(bandwidth, is_a_bound, is_probe)
        self._kept.append(found)
        return found

    @property
    def bandwidth_bytes_per_s(self) -> float | None:
        """The estimate; None before the first observation."""
        return median(one.bandwidth_bytes_per_s for one in self._kept) if self._kept else None

    def latest(self, n: int) -> list[Observation]:
        """The last n observations, or fewer."""
        return list(self._kept)[-n:]

    def forget_all_but(self, n: int) -> None:
        """Keep the last n observations: those before them were of a link that is no more."""
        self._kept = deque(self.latest(n), maxlen=KEPT)

    def telling_bytes(self, most: float) -> int:
        """How many bytes measure the rate well, if it is still the estimate and at most `most` (B/s): they take twice the time
        that is needed."""
        return int(2 * TELLING * self.noise_s * min(self.bandwidth_bytes_per_s or 0.0, most))

    def enough_bytes(self, most: float) -> int:
        """How many bytes take long enough to measure the rate, unless it is above `most` (B/s)."""
        return int(TELLING * self.noise_s * most)
