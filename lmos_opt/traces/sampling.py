"""Scenarios drawn from traces in blocks: neighbouring seconds are alike, and a block keeps them together.

A circular block bootstrap (D. N. Politis and J. P. Romano, "A circular block-resampling procedure for stationary data", 1992): the
trace is cut into windows of `step_s`, each with its mean rate. Blocks of consecutive windows are drawn; each window is the first of
a block with the same probability, and a block continues at the beginning if the trace ends. So each window is as likely as any
other, and the rates of a sample are distributed as those of the trace. With blocks, samples differ from each other as much as parts
of the link of this length may differ. So the slowest of several samples (`worst_of`) shows how slow the link may be beyond what a
short trace has shown.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, fsum

from lmos_opt.errors import InputError
from lmos_opt.scenarios.records import MOST_SCENARIOS, Scenario, ScenariosFile
from lmos_opt.traces.record import MOST_STEPS, LinkTrace
from lmos_opt.units import counted

SLOWEST = 0.05
"""Samples are compared by this share of their windows."""
LEAST_BYTES_PER_S = 125.0
"""The rate of a window in which nothing gets through: an outage is no scenario, and with so slow a link any image is late."""


@dataclass(frozen=True)
class Drawing:
    """How scenarios are drawn: the number of windows of `step_s`, in blocks of `block_s`; the same `seed` draws the same.

    Of `worst_of` samples the one with the slowest SLOWEST windows is taken: with 10, a trace that is as slow as this is seen in one
    of ten cases.
    """

    count: int = 100
    block_s: float = 10.0
    step_s: float = 1.0
    seed: int = 0
    worst_of: int = 1


ORDINARY = Drawing()


def windows(trace: LinkTrace, step_s: float) -> list[float]:
    """The mean rate (B/s) in each `step_s` of a trace; an incomplete window at the end does not count.

    InputError if the trace is shorter than one window, or has more than MOST_STEPS of them.
    """
    windows_in_it = trace.ends_s / step_s * (1 + 1e-9) if step_s > 0 else 0.0
    if not 1 <= windows_in_it <= MOST_STEPS:
        raise InputError(trace.name, f"lasts {trace.ends_s:g} s, and a step {step_s:g} s; expected 1 to {MOST_STEPS} steps in it")
    n = int(windows_in_it)
    found = [0.0] * n
    for at_s, lasts_s, rate in zip(trace.seconds, trace.lasts_s, trace.rate_bytes_per_s, strict=True):
        k, end_s = int(at_s / step_s), at_s + lasts_s
        while k < n and k * step_s < end_s:
            found[k] += rate * max(min((k + 1) * step_s, end_s) - max(k * step_s, at_s), 0.0)
            k += 1
    return [n_bytes / step_s for n_bytes in found]


def draw_scenarios(traces: LinkTrace | Sequence[LinkTrace], how: Drawing = ORDINARY) -> ScenariosFile:
    """Scenarios of a path whose hops have these traces, one for each hop; each hop's blocks are drawn independently.

    A factor of 1 is the mean rate of a hop's trace, and the fixed cost of an exchange is the longest round trip in it. Windows with
    the same rate are one scenario with the sum of their weights. InputError for a block longer than a trace or shorter than a step,
    and for no or too many scenarios.
    """
    hops = [traces] if isinstance(traces, LinkTrace) else list(traces)
    if not 1 <= how.count <= MOST_SCENARIOS:
        raise InputError("count", f"{counted(how.count, 'scenario')} cannot be drawn; expected 1 to {MOST_SCENARIOS}")
    if how.worst_of < 1:
        raise InputError("worst_of", f"got {how.worst_of}; expected 1 or more samples")
    chance, means = random.Random(how.seed), [trace.mean_bytes_per_s for trace in hops]
    drawn = [_slowest([draw_rates(trace, how, chance) for _ in range(how.worst_of)]) for trace in hops]
    weights = Counter(tuple(rate / mean for rate, mean in zip(rates, means, strict=True)) for rates in zip(*drawn, strict=True))
    known = [trace.rtt_s for trace in hops]
    return ScenariosFile(
        schema="lmos.scenarios/1",
        name=", ".join(trace.name for trace in hops),
        bandwidth_bytes_per_s=tuple(means),
        rtt_s=tuple(max(rtt_s) if rtt_s else 0.0 for rtt_s in known) if any(known) else (),
        scenarios=tuple(Scenario(weight=float(n), bandwidth=factors) for factors, n in sorted(weights.items(), reverse=True)),
    )


def draw_rates(trace: LinkTrace, how: Drawing, chance: random.Random) -> list[float]:
    """One sample of a trace's rates (B/s), in blocks. InputError as `draw_scenarios`."""
    found = windows(trace, how.step_s)
    length = round(min(how.block_s / how.step_s, len(found) + 1.0))
    if not 1 <= length <= len(found):
        raise InputError(trace.name, f"blocks of {how.block_s:g} s cannot be drawn from {len(found) * how.step_s:g} s in steps of "
                                     f"{how.step_s:g} s; expected {how.step_s:g} s to {len(found) * how.step_s:g} s")  # fmt: skip
    starts = [chance.randrange(len(found)) for _ in range(ceil(how.count / length))]
    rates = [found[(start + k) % len(found)] for start in starts for k in range(length)][: how.count]
    return [max(rate, LEAST_BYTES_PER_S) for rate in rates]


def _slowest(samples: Sequence[Sequence[float]]) -> Sequence[float]:
    """The sample whose slowest windows have the least rate on average."""
    n = ceil(SLOWEST * len(samples[0]))
    return min(samples, key=lambda rates: fsum(sorted(rates)[:n]))
