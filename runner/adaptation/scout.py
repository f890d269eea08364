"""Probes beside the run: a connection of their own, and a thread that waits for their answers."""

from __future__ import annotations

import queue
import threading
from collections import deque
from types import TracebackType
from typing import Self

from runner.client.probe_client import ProbeClient
from runner.errors import RunnerError
from runner.lab.probing.fit import ProbeTime
from runner.wire.access import Access
from runner.wire.protocol.turns import LARGEST_PROBE_BYTES
from runner.wire.shaping import Pacer, Shape
from runner.wire.timeouts import Timeouts

_PAUSE_S = 2.0
"""After a connection that failed."""
_KEEP_S = 10.0
_WITHIN_S = 5.0
"""The longest time (s) of a probe. A longer one counts as failed: the server is gone, or the link is almost down."""
_MOST_FAILED = 100


class Scout:
    """`ask` sends one probe, `take` gives the exchanges that have come back. Neither of them blocks.

    Probes go over the first hop, or another one. `sent` and `sent_bytes` count all that were asked. `failed` has the
    reasons of those that were not answered, until somebody takes them.
    """

    def __init__(self, address: tuple[str, int], link: Shape | Pacer | None, timeouts: Timeouts, access: Access,
                 hop: int = 1) -> None:  # fmt: skip
        self._address, self._link, self._timeouts, self._access, self._hop = address, link, timeouts, access, hop
        self._asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._came: queue.SimpleQueue[ProbeTime | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"scout {hop}", daemon=True)
        self._stop = threading.Event()
        self.failed = deque[str](maxlen=_MOST_FAILED)
        self.is_busy = False
        self.sent = self.sent_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._stop.set()
        self._asked.put(None)
        self._thread.join(_WITHIN_S + self._timeouts.connect_s)

    def ask(self, n_bytes: int) -> None:
        """Send a probe of this many bytes, unless one is under way."""
        if not self.is_busy:
            self.is_busy = True
            n_bytes = min(n_bytes, LARGEST_PROBE_BYTES)
            self.sent, self.sent_bytes = self.sent + 1, self.sent_bytes + n_bytes
            self._asked.put(n_bytes)

    def take(self, wait_s: float = 0.0) -> ProbeTime | None:
        """The exchange of the probe under way, if it is over within `wait_s` (s); None if it is not, or if it has failed."""
        if not self.is_busy:
            return None
        try:
            found = self._came.get(timeout=wait_s) if wait_s else self._came.get_nowait()
        except queue.Empty:
            return None
        self.is_busy = False
        return found

    def _run(self) -> None:
        remote: ProbeClient | None = None
        while not self._stop.is_set():
            try:
                n_bytes = self._asked.get(timeout=_KEEP_S)
            except queue.Empty:
                n_bytes = None
            if self._stop.is_set():
                break
            found = None
            try:
                remote = remote or ProbeClient(self._address, self._link, self._timeouts, self._access)
                remote.hop = self._hop
                seconds, t_server_s = remote.probe(n_bytes or 0, 0, _WITHIN_S)
                found = ProbeTime(n_bytes or 0, max(seconds - t_server_s, 0.0))
            except RunnerError as error:
                self.failed.append(str(error))
                if remote is not None:
                    remote.close()
                remote = None
                self._stop.wait(_PAUSE_S)
            if n_bytes is not None:
                self._came.put(found)
        if remote is not None:
            remote.close(politely=True)
