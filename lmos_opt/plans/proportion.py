"""How certain a counted share is."""

from __future__ import annotations

from functools import lru_cache
from math import exp, fsum, lgamma, log, log1p, sqrt
from statistics import NormalDist


def wilson(kept: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Between which shares the true one lies, of which `kept` of `n` were counted: 0 to 1 where nothing was.

    The score interval without continuity correction (E. B. Wilson, 1927; method 3 of R. G. Newcombe, "Two-sided confidence
    intervals for the single proportion", 1998). It takes one count for another's equal and independent of it: where neighbours are
    alike, as images over a link are, the share is less sure than it says.

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
    """What the true share does not exceed, with that confidence, of which `count` of `n` were counted: 1 where nothing was.

    The upper end of C. J. Clopper and E. S. Pearson (1934), one-sided: the share at which `count` or fewer would still be seen with
    a probability of 1 - confidence. It is exceeded at most that often, whatever the true share is.

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
