"""How much longer a part of a network takes when it begins after a rest: with cold caches and sleeping threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RESAMPLED = 200
_MIDDLE = (0.16, 0.84)


def restart_time_s(rested: NDArray[np.float64], steady: NDArray[np.float64], seed: int = 0) -> float:
    """The part's additional time after a rest (s), at least 0; from its layers' times with the rest and without, runs x layers (s).

    It is the difference of two sums of the layers' lower quartiles. At times, and on some days most times, the first layer waits
    for a thread to wake, longer than all the rest takes: a median would be with the one or with the other.

    Few runs of a long network tell little: ten runs of VGG11's second half, which takes 80 ms, said anything from 0 to 5 ms, and
    all of it would count even for a server that computes 20 ms. So the difference is shrunk by its own variance, as the James-Stein
    estimator does: by the factor 1 - (standard error / difference)^2, or to nothing where that is negative. The standard error is
    half the width of the middle 68 % of `_RESAMPLED` bootstrap samples, which `seed` draws; a few samples with late threads do not
    widen that.
    """
    found = _quartiles(rested) - _quartiles(steady)
    if found <= 0:
        return 0.0
    draw = np.random.default_rng(seed)
    again = [_quartiles(_drawn(draw, rested)) - _quartiles(_drawn(draw, steady)) for _ in range(_RESAMPLED)]
    low, high = np.quantile(again, _MIDDLE)
    return found * max(1 - (float(high - low) / 2 / found) ** 2, 0.0)


def _quartiles(times: NDArray[np.float64]) -> float:
    """The sum of the layers' lower quartiles."""
    return float(np.sort(times, axis=0)[len(times) // 4].sum())


def _drawn(draw: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """As many runs, drawn with replacement."""
    return times[draw.integers(len(times), size=len(times))]
