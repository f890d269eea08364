"""A link between two places that knows frames, and repeats, loses or swaps whole ones."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from runner.wire.connecting import listen
from runner.wire.protocol.frames import PREFIX_BYTES, FrameType, decode_prefix

Deed = Literal["repeats", "loses", "swaps", "brings old ones"]
_SWAP_S = 0.05


@dataclass
class FrameLink:
    """What a link does with every `every`-th question, and how often it did.

    It repeats it, breaks the connection in its place, lets the next question overtake it if one comes soon, or brings the one
    before it once more.
    """

    deed: Deed
    every: int = 4
    done: int = 0
    port: int = 0
    _asked: int = 0
    _last: bytes = b""

    def take(self, edge: socket.socket, place: socket.socket) -> None:
        """Pass one edge's frames on, to the end."""
        with contextlib.suppress(OSError):
            while frame := _frame(edge):
                place.sendall(self._instead_of(frame, edge))
        for one in (edge, place):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _instead_of(self, frame: bytes, edge: socket.socket) -> bytes:
        if decode_prefix(frame[:PREFIX_BYTES]).type is not FrameType.INFER:
            return frame
        before, self._last = self._last, frame
        self._asked += 1
        if self._asked % self.every or (self.deed == "swaps" and not select.select([edge], [], [], _SWAP_S)[0]):
            return frame
        self.done += 1
        if self.deed == "loses":
            raise ConnectionAbortedError
        if self.deed == "swaps":
            return _frame(edge) + frame
        return frame + (frame if self.deed == "repeats" else before)


@contextmanager
def link(deed: Deed, to: int, every: int = 4) -> Iterator[FrameLink]:
    """Such a link before the place that listens at this port; it listens at its own `port`."""
    found, listener = FrameLink(deed, every), listen("127.0.0.1", 0)
    found.port = listener.getsockname()[1]
    sockets = [listener]
    threads: list[threading.Thread] = []

    def run(target: object, *args: object) -> None:
        threads.append(threading.Thread(target=target, args=args))  # type: ignore[arg-type]
        threads[-1].start()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                edge = listener.accept()[0]
                place = socket.create_connection(("127.0.0.1", to))
                sockets.extend([edge, place])
                run(found.take, edge, place)
                run(_copy, place, edge)

    run(accept)
    try:
        yield found
    finally:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


def _copy(place: socket.socket, edge: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := place.recv(2**16):
            edge.sendall(data)
    with contextlib.suppress(OSError):
        edge.shutdown(socket.SHUT_RDWR)


def _frame(sock: socket.socket) -> bytes:
    """The next frame; none at the end."""
    prefix = _exactly(sock, PREFIX_BYTES)
    if not prefix:
        return b""
    found = decode_prefix(prefix)
    return prefix + _exactly(sock, found.header_bytes + found.payload_bytes)


def _exactly(sock: socket.socket, n_bytes: int) -> bytes:
    found = b""
    while len(found) < n_bytes:
        if not (data := sock.recv(n_bytes - len(found))):
            return b""
        found += data
    return found
