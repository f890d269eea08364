"""Confidence intervals of a counted share."""

from __future__ import annotations

from functools import lru_cache
from math import exp, fsum, lgamma, log, log1p, sqrt
from statistics import NormalDist


def wilson(kept: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The confidence interval of a share, if `kept` of `n` were counted; 0 to 1 if n is 0.

    The score interval without continuity correction (E. B. Wilson, 1927; method 3 of R. G. Newcombe, "Two-sided confidence
    intervals for the single proportion", 1998). It assumes that the counts are independent. If neighbours are similar, such as
    images that follow each other over a link, the true interval is wider.

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, middle = kept / n, (kept + z * z / 2) / (n + z * z)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if not kept else middle - half), (1.0 if kept == n else middle + half)


@lru_cache(maxsize=4096)
def upper_end(count: int, n: int, confidence: float = 0.95) -> float:
    """The upper confidence limit of a share, if `count` of `n` were counted; 1 if n is 0.

    The one-sided limit of C. J. Clopper and E. S. Pearson (1934): with this share, `count` or fewer are counted with a probability
    of 1 - confidence. Whatever the true share is, it exceeds the limit with at most this probability.

    >>> round(upper_end(0, 299), 4)
    0.01
    """
    if count >= n:
        return 1.0
    ways = [lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) for k in range(count + 1)]
    low, high = count / n, 1.0
    while low < (middle := (low + high) / 2) < high:
        seen = fsum(exp(way + k * log(middle) + (n - k) * log1p(-middle)) for k, way in enumerate(ways))
        low, high = (middle, high) if seen > 1 - confidence else (low, middle)
    return high
