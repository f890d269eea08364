"""How fast this machine's processors do the same piece of work from time to time.

A virtual machine shares its processors with others, unseen: alone on ours, Python took 0.37 ms for the same work in one second and
0.69 in the next. A measurement cannot be better than the machine it was made on, so it says how much of its best the machine gave.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from lmos.bench.halves import move

SLOW = 0.8
"""Below this share of the best pace, a processor is called slow."""
_TURNS, _TRIES = 2000, 3


def work_s() -> float:
    """The time (s) of the piece of work: some Python on few objects, a quarter of a millisecond on an ordinary processor."""
    begin, found = time.perf_counter(), {}
    for k in range(_TURNS):
        found[k % 16] = k, str(k)
    return time.perf_counter() - begin


@dataclass
class Pace:
    """What was seen so far: the `times` (s) of the piece of work, each the median of some tries in a row."""

    times: list[float] = field(default_factory=list)

    def note(self, sides: Iterable[set[int]]) -> None:
        """See how fast the processors of each side are now. Afterwards this process is on the last one's."""
        for processors in sides:
            move(processors)
            self.times.append(median(work_s() for _ in range(_TRIES)))

    @property
    def shares(self) -> list[float]:
        """Of the best pace that was seen, in the order of time."""
        best_s = min(self.times, default=0.0)
        return [best_s / seconds for seconds in self.times]

    @property
    def slow(self) -> float:
        """How much of the time a processor was slow, as a share."""
        return sum(share < SLOW for share in self.shares) / len(self.times) if self.times else 0.0
