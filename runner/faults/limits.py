"""What peers may use of a server: connections, time, memory, requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from runner.faults.refusal import Refusal
from runner.wire.protocol.side import fresh_memory


@dataclass(frozen=True)
class Limits:
    """Limits for all peers together, and for each peer.

    All together: `connections` of peers that have greeted; `strangers`, connections that have not greeted yet (a new one closes the
    oldest); `arrivals_per_s` new connections (more must wait); `memory_bytes` of received tensors (B).
    Each peer: `greeting_s` without a message before its OPEN, `idle_s` afterwards (s); `window` requests that may wait for their
    answers; `requests_per_s` (more are read later). `drain_s` is the time to finish what is under way when the server ends (s).
    """

    connections: int = 16
    strangers: int = 64
    arrivals_per_s: float = 100.0
    greeting_s: float = 10.0
    idle_s: float = 300.0
    window: int = 4
    memory_bytes: int = 2**31
    requests_per_s: float = 1000.0
    drain_s: float = 30.0


ORDINARY = Limits()


@dataclass(frozen=True)
class Load:
    """How busy a server is: connections of peers and strangers, questions that wait, bytes of received tensors."""

    peers: int
    strangers: int
    waiting: int
    memory_bytes: int


class Budget:
    """Bytes that all peers share."""

    def __init__(self, n_bytes: int) -> None:
        self._total = self._left = n_bytes
        self._lock = threading.Lock()

    def take(self, n_bytes: int) -> None:
        """Refusal if that much is not left."""
        with self._lock:
            if n_bytes > self._left:
                raise Refusal("busy", f"tensors of {self._total - self._left} bytes are in memory; {n_bytes} more "
                                      f"would be above {self._total}; try again later")  # fmt: skip
            self._left -= n_bytes

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._total - self._left

    def give_back(self, n_bytes: int) -> None:
        """Free so many bytes."""
        with self._lock:
            self._left += n_bytes


SPARE = 8
"""A place has room for an eighth more than was asked for, so that it also does for the next payload: encoded ones are never of
one length."""


class Buffers:
    """One peer's places for payloads, within a budget; used again, because fresh memory costs more than what it takes
    to fill it."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._taken = budget, 0
        self._free: list[memoryview] = []

    def take(self, n_bytes: int) -> memoryview:
        """A place for exactly so many bytes: the very same as before, if it was of that length."""
        for k, place in enumerate(self._free):
            if place.nbytes == n_bytes:
                return self._free.pop(k)
            if n_bytes <= _room(place).nbytes <= 2 * n_bytes:
                return _room(self._free.pop(k))[:n_bytes]
        self._drop()  # sizes change only with what is asked
        room = n_bytes + n_bytes // SPARE
        self._budget.take(room)
        self._taken += room
        return fresh_memory(room)[:n_bytes]

    def give_back(self, place: memoryview) -> None:
        """Free a place that nobody reads any more."""
        if place.nbytes:
            self._free.append(place)

    def close(self) -> None:
        """The peer has gone."""
        self._free.clear()
        self._budget.give_back(self._taken)
        self._taken = 0

    def _drop(self) -> None:
        while self._free:
            n_bytes = _room(self._free.pop()).nbytes
            self._taken -= n_bytes
            self._budget.give_back(n_bytes)


def _room(place: memoryview) -> memoryview:
    """All the memory that a place is the beginning of."""
    return memoryview(place.obj)


class Throttle:
    """So many events a second on average, with a second's worth at once."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], object] = time.sleep) -> None:  # fmt: skip
        self._per_s, self._clock, self._sleep = per_s, clock, sleep
        self._ready_at = clock()

    def wait(self) -> None:
        """Return when one more may happen."""
        now = self._clock()
        self._ready_at = max(self._ready_at, now - 1.0) + 1 / self._per_s
        if self._ready_at > now:
            self._sleep(self._ready_at - now)
