"""A line through the times of exchanges: `base + bytes / B`, robust against a few delayed exchanges.

The slope is the median of the slopes between any two exchanges (Theil 1950, Sen 1968), with Sen's interval. The base is the median
of the times minus the slope's part, with the interval from its order statistics. Both intervals have a confidence of 95 % for any
distribution of the noise that is the same for all exchanges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from runner.errors import RunnerError

CONFIDENCE = 0.95
LEAST_EXCHANGES = 6


@dataclass(frozen=True)
class ProbeTime:
    """An exchange that sends bytes and gets none back: its time (s) from packing to the answer, without the server's own time."""

    n_bytes: int
    seconds: float


@dataclass(frozen=True)
class LinkFit:
    """The rate (B/s) and the fixed cost of an exchange (s), each with its interval.

    `residual_s` is the median distance (s) of the times from the line, `worst_residual_s` the largest one.
    """

    bandwidth_bytes_per_s: float
    bandwidth_interval: tuple[float, float]
    base_s: float
    base_interval: tuple[float, float]
    residual_s: float
    worst_residual_s: float

    def is_within(self, share: float) -> bool:
        """Whether the interval of the rate reaches less than this share of it to either side."""
        low, high = self.bandwidth_interval
        return high - low <= 2 * share * self.bandwidth_bytes_per_s

    def seconds(self, n_bytes: int) -> float:
        """The time (s) of an exchange of this many bytes."""
        return self.base_s + n_bytes / self.bandwidth_bytes_per_s


def fit_link(exchanges: Sequence[ProbeTime], where: str = "the link") -> LinkFit:
    """The line through the exchanges' times. RunnerError if times do not grow with bytes."""
    from scipy.stats import quantile_test, theilslopes

    sizes = np.array([one.n_bytes for one in exchanges], dtype=float)
    times = np.array([one.seconds for one in exchanges])
    if len(set(sizes)) < 2:
        raise RunnerError(where, "exchanges of one size say nothing about its rate")
    slope, _, low, high = (float(value) for value in theilslopes(times, sizes, CONFIDENCE))
    if not slope > 0:
        raise RunnerError(where, f"exchanges of {sizes.max():.0f} bytes take no longer than empty ones: its rate cannot be told")
    low, high = (low if isfinite(low) and low > 0 else slope / 2), (high if isfinite(high) else slope * 2)
    rest = times - slope * sizes
    base = max(float(np.median(rest)), 0.0)
    interval = quantile_test(rest, q=0.0, p=0.5).confidence_interval(CONFIDENCE)
    ends = [max(float(end if isfinite(end) else other), 0.0)
            for end, other in ((interval.low, rest.min()), (interval.high, rest.max()))]  # fmt: skip
    residuals = np.abs(rest - base)
    return LinkFit(1 / slope, (1 / high, 1 / low), base, (min(ends[0], base), max(ends[1], base)),
                   float(np.median(residuals)), float(residuals.max()))  # fmt: skip
