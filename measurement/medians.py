"""Medians of repeated measurements, how sure they are, and what lies far from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

CONFIDENCE = 0.95
FAR = 5.0
"""Scaled median absolute deviations from the median beyond which a sample is called an outlier. Of normal noise fewer than one
in a million lies there."""
MANY = 1000
"""From more samples on, the binomial of the ranks is as good as normal: to count it out takes long, and its numbers are beyond a
float's."""
_SCALE = 1.4826
"""Makes the median absolute deviation of normal noise its standard deviation."""


@dataclass(frozen=True)
class Median:
    """The median of `repeats` samples, and `low` to `high`, where the true one lies with CONFIDENCE.

    `outliers` are the samples farther than FAR scaled median absolute deviations off. They are counted and not left out.
    """

    value: float
    low: float
    high: float
    repeats: int
    outliers: int

    @property
    def width(self) -> float:
        """The interval's width relative to the median; 0 where everything is 0."""
        return (self.high - self.low) / self.value if self.value > 0 else 0.0


def median_of(samples: Sequence[float]) -> Median:
    """The median with its interval by order statistics, which assumes nothing of the samples' distribution.

    The k-th smallest to the k-th largest sample hold the true median unless fewer than k of n samples fall to one side of
    it: k is the largest with 2 P(Binomial(n, 1/2) < k) <= 1 - CONFIDENCE. Up to 5 samples allow no such k; then the interval
    is all of their range, with less confidence (5: 94 %). Source: Conover, Practical Nonparametric Statistics, section 3.2.

    >>> median_of([5, 1, 2, 9, 3, 4, 100, 6, 7, 8])
    Median(value=5.5, low=2, high=9, repeats=10, outliers=1)
    """
    ordered, middle = sorted(samples), median(samples)
    k = _rank(len(ordered))
    far = FAR * _SCALE * median(abs(sample - middle) for sample in samples)
    return Median(middle, ordered[k - 1], ordered[-k], len(ordered), sum(abs(sample - middle) > far for sample in samples))


def _rank(n: int) -> int:
    if n > MANY:
        return math.floor((n + 1 - NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(n)) / 2)
    k, below = 1, 0
    while k <= n // 2:
        below += math.comb(n, k - 1)
        if 2 * below > (1 - CONFIDENCE) * 2**n:
            break
        k += 1
    return max(k - 1, 1)
