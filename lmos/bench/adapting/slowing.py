"""A slow device on a fast machine: a process that gets only a part of a processor's time."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import TracebackType
from typing import Self

TURN_S = 0.0005
"""The time (s) that the process runs in one piece: short compared with an image, long compared with the cost of a stop."""


class Slowed:
    """Inside the block a process gets `share` of a processor.

    After each TURN_S of processor time the process is stopped from outside, until a processor that is slower by this share would
    have done the same work. Only processor time counts: other programs do not slow the process further, and it is not stopped
    while it waits for the link. The whole process is slowed, with its sockets. Neither special rights nor cgroups are needed.
    `had` is the share that it got while it computed.
    """

    def __init__(self, pid: int, share: float) -> None:
        self._pid, self._share = pid, share
        self._clock = ~pid << 3 | 2  # as clock_getcpuclockid(3) has it
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slowing", daemon=True)
        self._ran_s = self._all_s = 0.0

    @property
    def had(self) -> float:
        """The share so far."""
        return self._ran_s / self._all_s if self._all_s else 1.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            used_s = time.clock_gettime(self._clock)
            while not self._stop.is_set():
                began, before_s = time.perf_counter(), used_s
                os.kill(self._pid, signal.SIGCONT)
                time.sleep(TURN_S)
                os.kill(self._pid, signal.SIGSTOP)
                while True:  # what it still computes after this is part of the next turn
                    used_s, now = time.clock_gettime(self._clock), time.perf_counter()
                    if (rest := began + (used_s - before_s) / self._share - now) <= 0:
                        break
                    time.sleep(rest)
                if (computed := used_s - before_s) > TURN_S / 2:  # else it waited for something
                    self._ran_s, self._all_s = self._ran_s + computed, self._all_s + now - began
            os.kill(self._pid, signal.SIGCONT)
        except OSError:  # it has ended
            pass
