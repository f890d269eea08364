"""How an edge comes to streams: by sockets of this machine, or as a test plays it."""

from __future__ import annotations

from typing import Protocol

from runner.wire.connecting import Dialer
from runner.wire.stream import Clock, MachineClock, Stream
from runner.wire.tls import Tls, stream_over


class Dialing(Protocol):
    """A stream on its way."""

    def step(self, timeout_s: float) -> Stream | None:
        """The stream, or None where it takes longer; ConnectionLost where there will be none."""

    def close(self) -> None:
        """Give up."""


class Streams(Clock, Protocol):
    """All that an edge's conversations know of the world: what time it is, and how to come to a stream."""

    def dial(self, address: tuple[str, int], timeout_s: float) -> Dialing:
        """Begin to connect; it may take so long. ConnectionLost where the address is known to lead nowhere."""


class _SocketDialing:
    def __init__(self, dialer: Dialer, tls: Tls | None) -> None:
        self._dialer, self._tls = dialer, tls

    def step(self, timeout_s: float) -> Stream | None:
        sock = self._dialer.step(timeout_s)
        return None if sock is None else stream_over(sock, self._tls)

    def close(self) -> None:
        self._dialer.close()


class Sockets(MachineClock):
    """Sockets and the clock of this machine; with `tls`, what goes over them is encrypted."""

    def __init__(self, tls: Tls | None = None) -> None:
        self._tls = tls

    def dial(self, address: tuple[str, int], timeout_s: float) -> Dialing:
        """As of Streams."""
        return _SocketDialing(Dialer(address, timeout_s), self._tls.for_host(address[0]) if self._tls else None)
