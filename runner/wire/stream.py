"""Bytes to and from one peer, behind an interface that a test can play: what a conversation needs of a socket, and of time.

`Stream` is all that a `Channel` knows of a connection, `Streams` all that an edge knows of the way to one. Nothing here waits
but `Stream.wait`, `Dialing.step` and `Streams.sleep`: who plays these three decides how time passes.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from runner.wire.connecting import format_address

TICK_S = 0.001
"""What `poll` counts in."""
OTHERS_S = 0.00003
"""Who gives way for longer shares its processor with somebody at work, perhaps with the very peer that it waits for. Both then take
turns on one processor while another one is free: two processes that do not sleep stay where they are. So it sleeps the next time,
and the system wakes it where there is room. On two processors, 5 of 10 loops had exchanges of 0.40 ms for this reason, the
others of 0.14."""


_give_way = getattr(os, "sched_yield", lambda: None)
"""Whoever waits for this processor runs first: of a peer on this machine, that may be the peer itself."""


class Clock(Protocol):
    """What time it is."""

    def now(self) -> float:
        """Seconds, of which only differences mean anything."""

    def sleep(self, seconds: float, wake: Wake | None = None) -> None:
        """Return after so long, or as soon as `wake` is set."""


class Stream(Protocol):
    """Bytes to and from one peer: what would have to wait raises BlockingIOError, what breaks another OSError. What must be agreed
    on before the first byte is so when bytes are first asked for, or given."""

    @property
    def name(self) -> str:
        """The peer's address, as errors show it."""

    @property
    def recv_into(self) -> Callable[[memoryview], int]:
        """Fills the beginning of the space; how many bytes, 0 at the end of the stream."""

    @property
    def sendmsg(self) -> Callable[[Sequence[memoryview]], int]:
        """Sends the beginning of the parts; how many bytes were taken."""

    def wait(self, timeout_s: float, *, reading: bool, writing: bool, wake: Wake | None = None, awake_s: float = 0.0) -> bool:
        """Return when bytes may be read or written, `wake` is set or the time is over; True where it was `wake`. For the first
        `awake_s` the thread looks again and again, and does not sleep."""

    def shut_down(self, *, writing: bool = True) -> None:
        """End the receiving direction, and the sending one: whoever reads, in any thread, sees the end of the stream."""

    def close(self, linger_s: float = 0.0) -> None:
        """Let go of it; with `linger_s`, throw away first what the peer still sends: closing over unread bytes would make the
        system discard our last words to it."""


class Wake:
    """Set by one thread, it ends another one's waiting. `is_set`: it was set, and not cleared since."""

    def __init__(self) -> None:
        self._file = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.is_set = False

    def fileno(self) -> int:
        """What `poll` takes."""
        return self._file

    def set(self) -> None:
        """Whoever waits, or will wait, goes on."""
        if self._file >= 0:
            os.eventfd_write(self._file, 1)
        self.is_set = True  # last: who clears what is set must find it in the file

    def clear(self) -> None:
        """The next waiting is for the next `set`."""
        if self.is_set and self._file >= 0:
            self.is_set = False
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._file)

    def close(self) -> None:
        """Nobody waits any more."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()


class MachineClock:
    """This machine's."""

    now = staticmethod(time.monotonic)

    def sleep(self, seconds: float, wake: Wake | None = None) -> None:
        """As a Clock's."""
        if seconds <= 0:
            return
        if wake is None:
            time.sleep(seconds)
            return
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.poll(math.ceil(seconds / TICK_S))


MACHINE = MachineClock()


class SocketStream:
    """A connected socket, its bytes as they are: `recv_into` and `sendmsg` are the socket's own."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._has_processor = True  # to itself, while it waits awake
        self.recv_into: Callable[[memoryview], int] = sock.recv_into
        self.sendmsg: Callable[[Sequence[memoryview]], int] = sock.sendmsg
        try:
            self._name = format_address(sock.getpeername())
        except OSError:
            self._name = "a peer that left at once"

    @property
    def name(self) -> str:
        """The peer's address, as errors show it."""
        return self._name

    def wait(self, timeout_s: float, *, reading: bool, writing: bool, wake: Wake | None = None, awake_s: float = 0.0) -> bool:
        """As a Stream's."""
        if wake is not None and wake.is_set:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN * reading | select.POLLOUT * writing)
        if wake is not None:
            poll.register(wake, select.POLLIN)
        if awake_s > 0:
            if self._has_processor:
                if self._comes_within(min(awake_s, timeout_s), poll):
                    return wake is not None and wake.is_set
                timeout_s = max(timeout_s - awake_s, 0.0)
            self._has_processor = True  # as far as is known: the thread sleeps now
        if 0 < timeout_s < TICK_S:  # `poll` would make whole milliseconds of it, and a paced message late by one
            time.sleep(timeout_s)
            timeout_s = 0.0
        poll.poll(math.floor(timeout_s / TICK_S))
        return wake is not None and wake.is_set

    def _comes_within(self, seconds: float, poll: select.poll) -> bool:
        """Look for so long, again and again, and let others run in between; note whether they had the processor. Whether something
        came."""
        now = time.monotonic()
        end = now + seconds
        while not poll.poll(0):
            if now >= end:
                return False
            before = now
            _give_way()
            now = time.monotonic()
            if now - before > OTHERS_S:
                self._has_processor = False
        return True

    def shut_down(self, *, writing: bool = True) -> None:
        """As a Stream's."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR if writing else socket.SHUT_RD)

    def close(self, linger_s: float = 0.0) -> None:
        """As a Stream's."""
        with contextlib.suppress(OSError):
            if linger_s:
                self._socket.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + linger_s
                while (left := deadline - time.monotonic()) > 0:
                    self._socket.settimeout(left)
                    if not self._socket.recv(65536):
                        break
        self._socket.close()
