"""The processors of this machine in two halves: one for the side that asks, one for the side that answers, as on two machines.

Left to the system, two processes that talk to each other land now on one processor and now on two, for a whole run, and an exchange
takes half as long or twice as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def halves() -> Iterator[tuple[set[int], set[int]]]:
    """The processors of those that ask, and of those that answer; both are all where that cannot be chosen, or where there is one.
    Afterwards this process has all of them again."""
    if not hasattr(os, "sched_setaffinity"):
        yield set(), set()
        return
    every = sorted(os.sched_getaffinity(0))
    middle = len(every) // 2
    try:
        yield (set(every[:middle]), set(every[middle:])) if middle else (set(every), set(every))
    finally:
        move(set(every))


def move(processors: set[int]) -> None:
    """This process's threads go there, and so will those and the processes that they start; no processors: they stay."""
    threads = [int(path.name) for path in _THREADS.iterdir()] if _THREADS.is_dir() else [0]
    for thread in threads if processors else []:
        try:
            os.sched_setaffinity(thread, processors)
        except ProcessLookupError:
            continue  # it has ended meanwhile
