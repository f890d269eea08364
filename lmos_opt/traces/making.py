"""Generated traces: links that fade, and links that switch between a few states. The same seed makes the same trace.

`fading`: the logarithm of the rate is an autoregressive process of order 1 with one step per second. The median of the rate is
MEDIAN_BYTES_PER_S, the standard deviation of its logarithm SIGMA; after one second the share KEPT of a deviation is left.
`switching`: a Markov chain over STATES (E. N. Gilbert, 1960, with one more state). The number of seconds in a state has a geometric
distribution.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import exp, sqrt

from lmos_opt.device import Source
from lmos_opt.errors import InputError
from lmos_opt.traces.record import MOST_STEPS, LinkTrace

MEDIAN_BYTES_PER_S, SIGMA, KEPT = 3e6, 0.5, 0.5
STATES = ((4e6, 6.0), (1.5e6, 2.5), (0.4e6, 1.0))
"""The rate of each state (B/s), and its average number of seconds."""
NEXT = ((0.0, 0.9, 0.1), (0.85, 0.0, 0.15), (0.5, 0.5, 0.0))
"""The states that may follow each state."""


def _fading(chance: random.Random, n: int) -> list[float]:
    deviation, found = chance.gauss(0.0, 1.0), list[float]()
    for _ in range(n):
        found.append(MEDIAN_BYTES_PER_S * exp(SIGMA * deviation))
        deviation = KEPT * deviation + sqrt(1 - KEPT**2) * chance.gauss(0.0, 1.0)
    return found


def _switching(chance: random.Random, n: int) -> list[float]:
    state, found = 0, list[float]()
    for _ in range(n):
        found.append(STATES[state][0])
        if chance.random() < 1 / STATES[state][1]:
            state = chance.choices(range(len(STATES)), NEXT[state])[0]
    return found


KINDS: dict[str, Callable[[random.Random, int], list[float]]] = {"fading": _fading, "switching": _switching}


def make_trace(kind: str, seconds: int = 360, seed: int = 0) -> LinkTrace:
    """A trace of that kind (`fading`, `switching`), a step for each second, with rates in whole bytes a second.

    InputError for another kind, for less than a second, and for more than MOST_STEPS of them.
    """
    if kind not in KINDS:
        raise InputError("trace", f"{kind!r:.60} is no kind of trace that is generated; there are {', '.join(KINDS)}")
    if not 1 <= seconds <= MOST_STEPS:
        raise InputError("trace", f"of {seconds:g} s cannot be generated; expected 1 s to {MOST_STEPS} s")
    rates = KINDS[kind](random.Random(f"{kind} {seed}"), seconds)
    told = f"generated: {kind}, {seconds} s, seed {seed}"
    source = Source(what="seconds, rate_bytes_per_s", source=f"lmos trace-link {kind}:{seed} --for {seconds}s")
    return LinkTrace.of_steps(kind, told, [(1.0, float(round(rate))) for rate in rates], sources=(source,))
