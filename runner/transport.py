"""The only module with sockets: connections over TCP, each with a deadline for everything that the peer must do."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator, Sequence

from lmos_opt.errors import InputError
from runner.errors import ConnectionLost, PeerTooSlow, RunnerError
from runner.protocol import Closed, Connection, Event, Message, Received
from runner.shaping import Pacer

GRACE_S = 10.0
"""A message that has begun may stall this long ..."""
LEAST_BYTES_PER_S = 1000
"""... and must go on at this rate on average: a peer that trickles cannot hold a connection for ever."""
LINGER_S = 1.0
_MOST_PARTS = 64  # buffers for one sendmsg; the system allows 1024


def parse_address(text: str, default_port: int = 7070) -> tuple[str, int]:
    """Host and port from `host:port`, `host`, `[::1]:port`; InputError otherwise.

    >>> parse_address("127.0.0.1:7070")
    ('127.0.0.1', 7070)
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InputError("address", f"{text!r} is not HOST:PORT, such as 127.0.0.1:7070")
    return host, int(port)


def format_address(address: Sequence[object]) -> str:
    """`host:port` of a socket's address."""
    host = str(address[0])
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; RunnerError where the address cannot be had."""
    where = format_address((host, port))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=64)
    except OSError as error:
        raise RunnerError(where, f"cannot listen there: {_reason(error)}") from None


def connect(address: tuple[str, int], timeout_s: float) -> socket.socket:
    """A connected socket; ConnectionLost with a hint where nobody answers."""
    where = format_address(address)
    try:
        return socket.create_connection(address, timeout_s)
    except TimeoutError:
        raise ConnectionLost(where, f"no answer within {timeout_s:g} s; is 'lmos serve' running there?") from None
    except OSError as error:
        raise ConnectionLost(where, f"{_reason(error)}; is 'lmos serve' running there?") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


class Listener:
    """Accepts connections until it is stopped, from any thread or signal handler."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._wake, self._woken = socket.socketpair()
        self.name, self.port = format_address(sock.getsockname()), int(sock.getsockname()[1])

    def __iter__(self) -> Iterator[socket.socket]:
        with self._socket, self._woken, selectors.DefaultSelector() as selector:
            self._socket.setblocking(False)  # a connection may be gone again before it is accepted
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    return
                try:
                    accepted, _ = self._socket.accept()
                except OSError:  # gone again, or no file descriptor left: others will end
                    time.sleep(0.01)
                    continue
                accepted.setblocking(True)
                yield accepted

    def stop(self) -> None:
        """End the iteration."""
        with contextlib.suppress(OSError):
            self._wake.send(b".")


class _Progress:
    """How one message comes along."""

    def __init__(self) -> None:
        self._end = time.monotonic() + GRACE_S

    def is_too_slow(self, n_bytes: int) -> bool:
        """Whether, with n further bytes, it is behind LEAST_BYTES_PER_S by more than the grace."""
        self._end += n_bytes / LEAST_BYTES_PER_S
        return time.monotonic() > self._end


class Channel:
    """A socket and the conversation over it.

    `name` is the peer's address as errors show it. `pacer` holds the sending side to a link's shape.
    """

    def __init__(self, sock: socket.socket, connection: Connection, *, pacer: Pacer | None = None) -> None:
        self._socket, self.connection, self._pacer = sock, connection, pacer
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.name = format_address(sock.getpeername())
        except OSError:
            self.name = "a peer that left at once"

    def send(self, message: Message, payload: Sequence[memoryview] = ()) -> None:
        """Write one message; ConnectionLost where the peer is gone or does not read."""
        parts = [memoryview(part) for part in self.connection.send(message, payload)]
        try:
            if self._pacer is None:
                self._write(parts)
            else:
                self._write_paced(parts, self._pacer)
        except TimeoutError:
            raise PeerTooSlow(self.name, "the peer stopped reading") from None
        except OSError as error:
            raise ConnectionLost(self.name, f"the connection broke while sending: {_reason(error)}") from None

    def receive(self, timeout_s: float) -> Event:
        """The next event: its first byte within `timeout_s`, the rest at LEAST_BYTES_PER_S or faster.

        Raises ConnectionLost where the peer is gone or too slow, RemoteProtocolError where it leaves the protocol.
        """
        progress: _Progress | None = None
        while True:
            space = self.connection.buffer()
            try:
                self._socket.settimeout(GRACE_S if progress else timeout_s)
                n_bytes = self._socket.recv_into(space)
            except TimeoutError:
                what = "stopped inside a message" if progress else f"sent nothing for {timeout_s:g} s"
                raise PeerTooSlow(self.name, f"the peer {what}") from None
            except OSError as error:
                raise ConnectionLost(self.name, f"the connection broke: {_reason(error)}") from None
            progress = progress or _Progress()
            if (event := self.connection.received(n_bytes)) is not None:
                return event
            if progress.is_too_slow(n_bytes):
                raise PeerTooSlow(self.name, "the peer sends too slowly")

    def expect(self, timeout_s: float) -> Received:
        """Like `receive`, where the end of the stream is no answer: ConnectionLost."""
        event = self.receive(timeout_s)
        if isinstance(event, Closed):
            raise ConnectionLost(self.name, "the peer closed the connection without an answer")
        return event

    def shut_down(self) -> None:
        """End both directions; whoever waits in this channel, in any thread, sees the end of the stream."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self, linger_s: float = 0.0) -> None:
        """Close the socket.

        With `linger_s`, what the peer still sends is thrown away first: closing over unread bytes would make the system
        discard our last words to it.
        """
        with contextlib.suppress(OSError):
            if linger_s:
                self._socket.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + linger_s
                while (left := deadline - time.monotonic()) > 0:
                    self._socket.settimeout(left)
                    if not self._socket.recv(65536):
                        break
        self._socket.close()

    def _write(self, parts: list[memoryview]) -> None:
        progress = _Progress()
        self._socket.settimeout(GRACE_S)
        while parts:
            n_bytes = self._socket.sendmsg(parts[:_MOST_PARTS])
            parts = _without(parts, n_bytes)
            if progress.is_too_slow(n_bytes):
                raise TimeoutError

    def _write_paced(self, parts: list[memoryview], pacer: Pacer) -> None:
        pacer.begin()
        while parts:
            piece = _first(parts, pacer.quantum_bytes)
            n_bytes = sum(part.nbytes for part in piece)
            pacer.wait(n_bytes)
            self._write(piece)
            parts = _without(parts, n_bytes)


def _first(parts: list[memoryview], n_bytes: int) -> list[memoryview]:
    """The first n bytes of the parts."""
    found = []
    for part in parts:
        if n_bytes <= 0:
            break
        found.append(part[:n_bytes])
        n_bytes -= found[-1].nbytes
    return found


def _without(parts: list[memoryview], n_bytes: int) -> list[memoryview]:
    """The parts without their first n bytes."""
    k = 0
    while k < len(parts) and n_bytes >= parts[k].nbytes:
        n_bytes -= parts[k].nbytes
        k += 1
    rest = parts[k:]
    if n_bytes:
        rest[0] = rest[0][n_bytes:]
    return rest
