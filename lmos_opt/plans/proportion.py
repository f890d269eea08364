"""How sure a share is that was counted."""

from __future__ import annotations

from math import sqrt
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
