"""A slow device on a fast machine: a process that may run only in a part of each few milliseconds."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import TracebackType
from typing import Self

PERIOD_S = 0.008
"""Short beside an image, long beside what stopping a process costs."""


class Slowed:
    """While the block runs, the process has `share` of the time: it is stopped and continued every PERIOD_S, from outside.

    All of it is slowed, its sockets as well, as on a device with a processor that much slower. It needs no rights and no cgroups.
    `had` is the share that the process really got.
    """

    def __init__(self, pid: int, share: float) -> None:
        self._pid, self._share = pid, share
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
            continued = time.perf_counter()
            while not self._stop.is_set():
                os.kill(self._pid, signal.SIGCONT)
                time.sleep(self._share * PERIOD_S)
                os.kill(self._pid, signal.SIGSTOP)
                ran_s = time.perf_counter() - continued
                time.sleep(max(ran_s / self._share - ran_s, 0.0))  # who ran too long waits longer
                before, continued = continued, time.perf_counter()
                self._ran_s, self._all_s = self._ran_s + ran_s, self._all_s + continued - before
            os.kill(self._pid, signal.SIGCONT)
        except ProcessLookupError:  # it has ended
            pass
