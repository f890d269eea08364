"""The only module that opens sockets: connections over TCP, each with a deadline for everything that the peer must do.

Sockets never block: a channel tries, and polls where it would have to wait. One thread may read while another writes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import select
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence

from lmos_opt.errors import InputError
from runner.errors import ConnectionLost, PeerTooSlow, RunnerError, Unreachable, Untrusted
from runner.protocol import Closed, Connection, Event, Message, Received
from runner.shaping import Pacer
from runner.tls import PlainWire, Tls, TlsWire

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


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone, by its address or as `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; RunnerError where the address cannot be had."""
    where = format_address((host, port))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=64)
    except OSError as error:
        raise RunnerError(where, f"cannot listen there: {_reason(error)}") from None


class Connecting:
    """A connection on its way: `step` until there is a socket. Each address of the host is tried in turn."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.name, self._timeout_s = format_address(address), timeout_s
        self._end = time.monotonic() + timeout_s
        self._socket: socket.socket | None = None
        try:
            self._left = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except OSError as error:
            raise self._nobody(_reason(error)) from None

    def step(self, timeout_s: float) -> socket.socket | None:
        """The connected socket, or None if it takes longer; ConnectionLost with a hint where nobody answers."""
        while True:
            if self._socket is None:
                self._begin()
            assert self._socket is not None
            left = min(timeout_s, self._end - time.monotonic())
            poll = select.poll()
            poll.register(self._socket, select.POLLOUT)
            if not poll.poll(1000 * max(left, 0.0)):
                if time.monotonic() < self._end:
                    return None
                self.close()
                raise self._nobody(f"no answer within {self._timeout_s:g} s")
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error:
                found, self._socket = self._socket, None
                return found
            self.close()
            if not self._left:
                raise self._nobody(_reason(OSError(error, os.strerror(error))))

    def close(self) -> None:
        """Give up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self) -> None:
        family, kind, protocol, _, address = self._left.pop(0)
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        try:
            self._socket.connect(address)
        except BlockingIOError:
            pass  # under way
        except OSError as error:
            self.close()
            if not self._left:
                raise self._nobody(_reason(error)) from None
            self._begin()

    def _nobody(self, reason: str) -> ConnectionLost:
        return Unreachable(self.name, f"{reason}; is 'lmos serve' running there?")


def connect(address: tuple[str, int], timeout_s: float) -> socket.socket:
    """A connected socket; ConnectionLost with a hint where nobody answers."""
    connecting = Connecting(address, timeout_s)
    while (sock := connecting.step(timeout_s)) is None:
        pass
    return sock


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _lost(where: str, what: str, error: OSError) -> ConnectionLost:
    if not isinstance(error, ssl.SSLError):
        return ConnectionLost(where, f"{what}: {_reason(error)}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Untrusted(where, f"the peer's certificate is not trusted: {error.verify_message}")
    reason = (error.reason or "the stream ended").lower().replace("_", " ")
    if "wrong version number" in reason or "http request" in reason:
        return Untrusted(where, "the peer does not speak TLS, which this side was started with")
    if "certificate" in reason or "unknown ca" in reason:
        return Untrusted(where, f"the peer does not accept this side's certificate, or its lack: {reason}")
    return ConnectionLost(where, f"TLS: {reason}")


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
        self._end = self.moved = time.monotonic()
        self._end += GRACE_S

    def note(self, n_bytes: int) -> None:
        """So many bytes have come."""
        self._end += n_bytes / LEAST_BYTES_PER_S
        self.moved = time.monotonic()

    @property
    def has_stopped(self) -> bool:
        """Whether nothing has moved for the grace."""
        return time.monotonic() > self.moved + GRACE_S

    @property
    def is_too_slow(self) -> bool:
        """Whether it is behind LEAST_BYTES_PER_S by more than the grace."""
        return time.monotonic() > self._end


class Channel:
    """A socket and the conversation over it.

    `name` is the peer's address as errors show it, `pacer` holds the sending side to a link's shape, `tls` encrypts.
    `moved_at` is when bytes last came or went (on the monotonic clock).
    Either one thread reads (`receive`) while others write (`send`), or one thread does both (`begin`, `pump`).
    """

    def __init__(self, sock: socket.socket, connection: Connection, *, pacer: Pacer | None = None,
                 tls: Tls | None = None) -> None:  # fmt: skip
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self.connection, self._pacer = sock, connection, pacer
        self._wire: PlainWire | TlsWire = PlainWire(sock) if tls is None else TlsWire(sock, tls)
        self._talking = threading.Lock()  # holds the connection's state together
        self._sending = threading.Lock()  # holds a message's bytes together
        self.moved_at = time.monotonic()
        self._out: list[memoryview] = []
        self._outgoing = _Progress()
        self._incoming: _Progress | None = None
        self._granted, self._due = 0, 0.0  # bytes that the pacer lets go from a time on
        try:
            self.name = format_address(sock.getpeername())
        except OSError:
            self.name = "a peer that left at once"

    @property
    def is_sending(self) -> bool:
        """Whether something that was begun is not yet sent."""
        return bool(self._out)

    # one thread reads, others write ----------------------------------------------------------------------------------

    def send(self, message: Message, payload: Sequence[memoryview] = ()) -> None:
        """Write one message; ConnectionLost where the peer is gone or does not read."""
        with self._sending:
            self.begin(message, payload)
            while (wait_s := self._flush()) is not None:
                if wait_s < math.inf:
                    time.sleep(wait_s)
                else:
                    self._wait(select.POLLOUT if self._wire.is_open else self._events(wait_s), GRACE_S)
                    self._check_outgoing()

    def receive(self, timeout_s: float) -> Event:
        """The next event: its first byte within `timeout_s`, the rest at LEAST_BYTES_PER_S or faster.

        Raises ConnectionLost where the peer is gone or too slow, RemoteProtocolError where it leaves the protocol.
        """
        end = time.monotonic() + timeout_s
        while True:
            if (event := self._read()) is not None:
                return event
            self._check_incoming()
            left = end - time.monotonic() if self._incoming is None else GRACE_S
            if left <= 0:
                raise PeerTooSlow(self.name, f"the peer sent nothing for {timeout_s:g} s")
            self._wait(self._events(None), left)

    def expect(self, timeout_s: float) -> Received:
        """Like `receive`, where the end of the stream is no answer: ConnectionLost."""
        event = self.receive(timeout_s)
        if isinstance(event, Closed):
            raise ConnectionLost(self.name, "the peer closed the connection without an answer")
        return event

    # one thread does both --------------------------------------------------------------------------------------------

    def begin(self, message: Message, payload: Sequence[memoryview] = ()) -> None:
        """Put a message behind those that are being sent; `pump` sends them. The payload must stay as it is."""
        with self._talking:
            parts = self.connection.send(message, payload)
        if not self._out:
            self._outgoing = _Progress()
            if self._pacer is not None:
                self._pacer.begin()
        self._out += (memoryview(part) for part in parts)

    def pump(self, timeout_s: float, wake: int | None = None) -> Event | None:
        """Send and receive what can be, until an event is complete, `timeout_s` is over or `wake` is readable."""
        end = time.monotonic() + timeout_s
        while True:
            wait_s = self._flush()
            if (event := self._read()) is not None:
                return event
            self._check_incoming()
            if wait_s == math.inf:
                self._check_outgoing()
            left = end - time.monotonic()
            if left <= 0:
                return None
            woken = self._wait(self._events(wait_s), min(left, GRACE_S, math.inf if wait_s is None else wait_s), wake)
            if woken:
                return None

    def shut_down(self) -> None:
        """End both directions; whoever waits in this channel, in any thread, sees the end of the stream."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def stop_reading(self) -> None:
        """End the receiving direction alone: who reads sees the end of the stream, and answers can still be sent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

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

    # the socket ------------------------------------------------------------------------------------------------------

    def _read(self) -> Event | None:
        """Take what is there until it completes an event; None where more must come."""
        while True:
            space = self.connection.buffer()
            try:
                self._wire.handshake()
                n_bytes = self._wire.recv_into(space)
            except BlockingIOError:
                return None
            except OSError as error:
                raise _lost(self.name, "the connection broke", error) from None
            with self._talking:
                event = self.connection.received(n_bytes)
            if event is not None:
                self._incoming, self.moved_at = None, time.monotonic()
                return event
            self._incoming = self._incoming or _Progress()
            self._incoming.note(n_bytes)
            self.moved_at = self._incoming.moved

    def _flush(self) -> float | None:
        """Send what can be. None when all is sent; else seconds until more may go, infinite: when the socket takes it."""
        try:
            while self._out:
                if self._pacer is not None and (wait_s := self._wait_for_pacer(self._pacer)) > 0:
                    return wait_s
                parts = self._out[:_MOST_PARTS]
                self._wire.handshake()
                n_bytes = self._wire.sendmsg(parts if self._pacer is None else _first(parts, self._granted))
                self._granted -= n_bytes
                self._out = _without(self._out, n_bytes)
                self._outgoing.note(n_bytes)
                self.moved_at = self._outgoing.moved
        except BlockingIOError:
            return math.inf
        except OSError as error:
            raise _lost(self.name, "the connection broke while sending", error) from None
        return None

    def _wait_for_pacer(self, pacer: Pacer) -> float:
        """Seconds until the next bytes may leave; `_granted` says how many those are."""
        if self._granted <= 0:
            self._granted = min(pacer.quantum_bytes, sum(part.nbytes for part in self._out))
            self._due = pacer.due(self._granted)
        return self._due - time.monotonic()

    def _events(self, wait_s: float | None) -> int:
        if not self._wire.is_open:  # a handshake says itself what it waits for
            return select.POLLOUT if self._wire.wants_write else select.POLLIN
        return select.POLLIN if wait_s != math.inf else select.POLLIN | select.POLLOUT

    def _wait(self, events: int, timeout_s: float, wake: int | None = None) -> bool:
        """Wait until the socket is ready; True if `wake` is what was ready."""
        poll = select.poll()
        poll.register(self._socket, events)
        if wake is not None:
            poll.register(wake, select.POLLIN)
        return any(ready == wake for ready, _ in poll.poll(1000 * timeout_s))

    def _check_incoming(self) -> None:
        if self._incoming is None:
            return
        if self._incoming.has_stopped:
            raise PeerTooSlow(self.name, "the peer stopped inside a message")
        if self._incoming.is_too_slow:
            raise PeerTooSlow(self.name, "the peer sends too slowly")

    def _check_outgoing(self) -> None:
        if self._outgoing.has_stopped or self._outgoing.is_too_slow:
            raise PeerTooSlow(self.name, "the peer stopped reading")


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
    """The parts without their first n bytes, and without empty ones before the rest."""
    k = 0
    while k < len(parts) and n_bytes >= parts[k].nbytes:
        n_bytes -= parts[k].nbytes
        k += 1
    rest = parts[k:]
    if n_bytes:
        rest[0] = rest[0][n_bytes:]
    return rest
