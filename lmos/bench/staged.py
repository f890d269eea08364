"""How far each stage of a prediction is off, which stages missed what is asked of them, and why they may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from lmos.bench.predictions import Comparison

STAGES = ("t_edge_s", "t_tx_s", "t_server_s")
MOST_MEDIAN, MOST_WORST = 0.10, 0.30
"""What is asked of each stage: how far its predictions may be off, relative to the measured time."""
WIDE, COLD, BUSY, CHANGED = 0.2, 1.5, 0.1, 1.15
"""A stage's times are called spread out where their quartiles lie this far apart, relative to the median; its start cold where its
first image took so many times the median; and the machine busy where others had this share of its processors."""


@dataclass(frozen=True)
class Staged:
    """One stage of one cut: predicted, measured, and the first image's time (s); how far apart the quartiles lie,
    relative to the median; the share of the processors that others had while the profile was timed and while the cut ran; and how
    many times as long the stage takes by the slowest timing as by the fastest."""

    network: str
    x1: int
    stage: str
    predicted_s: float
    measured_s: float
    first_s: float
    spread: float
    others_profiled: float | None
    others_run: float | None
    change: float = 1.0

    @property
    def error(self) -> float:
        """Relative to the measured time: 0.1 is a prediction that is a tenth too high."""
        return self.predicted_s / self.measured_s - 1

    @property
    def reasons(self) -> list[str]:
        """Why the prediction may be off, in words; empty if nothing was seen."""
        found = []
        if self.spread > WIDE:
            found.append(f"its times are spread out (quartiles {self.spread:.0%} apart)")
        if self.first_s > COLD * self.measured_s:
            found.append(f"it began cold (first image {self.first_s / self.measured_s:.1f} times the median)")
        for when, share in (("was timed", self.others_profiled), ("ran", self.others_run)):
            if share is not None and share > BUSY:
                found.append(f"others had {share:.0%} of the processors while it {when}")
        if self.change > CHANGED:
            found.append(f"the machine's speed changed (its slowest timing is {self.change:.2f} times the fastest)")
        return found


def stages_of(comparisons: Sequence[Comparison]) -> list[Staged]:
    """Every stage of every cut that has one: a part without layers takes no time that could be predicted."""
    found = []
    for one in comparisons:
        for stage in STAGES:
            times = one.each[stage]
            middle = median(times)
            if one.predicted[stage] <= 0 or middle <= 0:
                continue
            low, _, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else (middle,) * 3
            found.append(Staged(one.network, one.x1, stage, one.predicted[stage], one.measured[stage], times[0],
                                (high - low) / middle, one.others_profiled, one.others_run,
                                one.slowest.get(stage, 1.0)))  # fmt: skip
    return found


@dataclass(frozen=True)
class Errors:
    """How far one stage's predictions are off over all cuts, whatever the sign."""

    stage: str
    median: float
    worst: float

    @property
    def is_kept(self) -> bool:
        """Whether that is what is asked."""
        return self.median <= MOST_MEDIAN and self.worst <= MOST_WORST


def errors_of(staged: Sequence[Staged]) -> list[Errors]:
    """Of each stage, in the order in which data passes."""
    found = {stage: [abs(one.error) for one in staged if one.stage == stage] for stage in STAGES}
    return [Errors(stage, median(errors), max(errors)) for stage, errors in found.items() if errors]
