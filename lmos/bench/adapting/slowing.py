"""A slow device on a fast machine: a process that gets only a part of a processor's time."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import TracebackType
from typing import Self

TURN_S = 0.0005
"""How long the process runs at once: short beside an image, long beside what stopping it costs."""


class Slowed:
    """While the block runs, the process gets `share` of a processor: after each TURN_S it is stopped, from outside, until a
    processor so much slower would have computed as much.

    What counts is the time that it had a processor, not the time that passed: other programs that want one as well do not make it
    slower still, and while it waits for the link it is not stopped. All of it is slowed, its sockets as well. It needs no rights
    and no cgroups. `had` is the share that it got while it computed.
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
