"""How fast this machine's processors do one piece of work, looked at again and again during a measurement.

A virtual machine shares its processors with others, unseen. On one that was idle, Python took 0.37 ms for the same work in one
second and 0.69 in the next, on either processor. A measurement is no better than the machine that it was made on, so it says
what that gave.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from lmos.bench.halves import move

SLOW = 0.8
"""A processor is called slow below this share of the best pace."""
_STEPS, _TRIES = 2000, 3


def work_s() -> float:
    """The time (s) of the piece of work: some Python on few objects, a quarter of a millisecond as a rule."""
    found, begin = dict[int, tuple[int, str]](), time.perf_counter()
    for k in range(_STEPS):
        found[k % 16] = k, str(k)
    return time.perf_counter() - begin


@dataclass
class Pace:
    """`times` (s) of the piece of work so far, each the median of a few tries in a row."""

    times: list[float] = field(default_factory=list)

    def note(self, sides: Iterable[set[int]]) -> None:
        """Look at the processors of each side. Afterwards this process is on those of the last one."""
        for processors in sides:
            move(processors)
            self.times.append(median(work_s() for _ in range(_TRIES)))

    @property
    def shares(self) -> list[float]:
        """Each time's pace, as a share of the best: 0.5 is a processor that took twice as long."""
        best_s = min(self.times, default=0.0)
        return [best_s / seconds for seconds in self.times]

    def summary(self) -> dict[str, float]:
        """The least and the median share, and how many of the looks found a `slow` processor, as a share. Empty before any look."""
        shares = self.shares
        if not shares:
            return {}
        return {"least": min(shares), "median": median(shares), "slow": sum(share < SLOW for share in shares) / len(shares)}

    def __str__(self) -> str:
        found = self.summary()
        if not found:
            return "nobody looked at the processors' pace"
        return (f"the processors ran at {found['least']:.0%} of their best pace or more, at {found['median']:.0%} in the median; "
                f"{found['slow']:.0%} of the looks found one below {SLOW:.0%}")
