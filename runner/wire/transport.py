"""Conversations over streams, with a deadline for everything that the peer must do.

Streams never block: a channel tries, and waits where it would have to. One thread may read while another writes.
"""

from __future__ import annotations

import math
import ssl
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from runner.errors import ConnectionLost, PeerTooSlow, StreamCut, Untrusted
from runner.wire.connecting import reason_of
from runner.wire.outbox import Outbox, beginning
from runner.wire.shaping import Pacer
from runner.wire.stream import MACHINE, Clock, Stream, Wake

GRACE_S = 10.0
"""A message that has begun may stall this long ..."""
LEAST_BYTES_PER_S = 1000
"""... and must go on at this rate on average: a peer that trickles cannot hold a connection for ever."""
LINGER_S = 1.0
FAREWELL_S = 1.0
"""So long a last message may take to leave: over a link of some delay it does not leave at once."""
AHEAD_BYTES = 2**14
"""What is read at once where less than that belongs to the current part of a message: its other parts come with it."""
PIECE_BYTES = 2**19
"""What is read at once of a long payload: its checksum is taken while the piece is in the processor's cache."""
AWAKE_S = 0.001
"""A thread that was answered within this time of what it sent stays awake for as long the next time. It costs a core this much
for an answer that comes late, once: after that it sleeps at once, until an answer comes as soon again. Asleep, it would be woken
with cold caches, and Python is several times slower then."""
INSIDE_S = 0.0001
"""Inside a message, who reads stays awake for this long: over a fast link the next bytes come sooner, and to wake a thread for each
piece costs the sender as much as to send it. A message whose bytes come more slowly is slept through from then on."""


def _lost(where: str, what: str, error: OSError) -> ConnectionLost:
    if not isinstance(error, ssl.SSLError):
        return ConnectionLost(where, f"{what}: {reason_of(error)}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Untrusted(where, f"the peer's certificate is not trusted: {error.verify_message}")
    reason = (error.reason or "the stream ended").lower().replace("_", " ")
    if "wrong version number" in reason or "http request" in reason:
        return Untrusted(where, "the peer does not speak TLS, which this side was started with (--ca; a server: --tls-cert)")
    if "certificate" in reason or "unknown ca" in reason:
        return Untrusted(where, f"the peer does not accept this side's certificate (--cert and --key), or its lack: {reason}")
    return ConnectionLost(where, f"TLS: {reason}")


class _Progress:
    """How one message comes along."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end = self.moved = clock.now()
        self._end += GRACE_S

    def note(self, n_bytes: int) -> None:
        """So many bytes have come."""
        self._end += n_bytes / LEAST_BYTES_PER_S
        self.moved = self._clock.now()

    @property
    def has_stopped(self) -> bool:
        """Whether nothing has moved for the grace."""
        return self._clock.now() > self.moved + GRACE_S

    @property
    def is_too_slow(self) -> bool:
        """Whether it is behind LEAST_BYTES_PER_S by more than the grace."""
        return self._clock.now() > self._end


class Side(Protocol):
    """One side of a conversation, which knows no sockets (`runner.wire.protocol.Connection`): bytes from messages, and events from
    bytes."""

    def send(self, message: Any, payload: Sequence[memoryview] = ()) -> Iterable[bytes | memoryview]:
        """The buffers to write, in order. Each is asked for when the ones before it are written."""

    @property
    def missing_bytes(self) -> int:
        """How many bytes it needs at least before anything new can be said of them."""

    def buffer(self) -> memoryview:
        """Where these bytes belong."""

    def received(self, n_bytes: int) -> Any:
        """The event that so many bytes in `buffer()` complete, or None. 0 bytes are the end of the stream; StreamCut for an end
        inside a message."""

    def take(self, data: memoryview) -> tuple[Any, int]:
        """Take bytes up to those that complete an event: it, or None, and how many were taken."""


Talks = TypeVar("Talks", bound=Side)


class Channel(Generic[Talks]):
    """A stream and the `connection` over it, a side of a conversation.

    `name` is the peer's address as errors show it, `pacer` holds the sending side to a link's shape. `moved_at` is when bytes
    last came or went (on the clock). `has_waited`: nothing was there when the last event was asked for.
    Either one thread reads (`receive`) while others write (`send`), or one thread does both (`begin`, `pump`).
    """

    def __init__(self, stream: Stream, connection: Talks, *, pacer: Pacer | None = None, clock: Clock = MACHINE) -> None:
        self._stream, self.connection, self._pacer, self._clock = stream, connection, pacer, clock
        self._talking = threading.Lock()  # holds the connection's state together
        self._sending = threading.Lock()  # holds a message's bytes together
        self.moved_at = self._sent_at = clock.now()
        self.has_waited = False
        self._is_prompt = self._is_answered = False
        self._sent_bytes = self._received_bytes = 0
        self._noted_bytes = (0, 0)
        self._landing = memoryview(bytearray(AHEAD_BYTES))
        self._ahead = self._landing[:0]  # what came and was not taken yet
        self._out = Outbox()
        self._outgoing: _Progress | None = None  # of what did not go at once
        self._incoming: _Progress | None = None
        self._granted, self._due = 0, 0.0  # bytes that the pacer lets go from a time on
        self.name = stream.name

    @property
    def is_sending(self) -> bool:
        """Whether something that was begun is not yet sent."""
        return bool(self._out)

    def newly_moved(self) -> tuple[int, int]:
        """How many bytes went out and came in since this was last asked."""
        before, self._noted_bytes = self._noted_bytes, (self._sent_bytes, self._received_bytes)
        return self._noted_bytes[0] - before[0], self._noted_bytes[1] - before[1]

    # one thread reads, others write ----------------------------------------------------------------------------------

    def send(self, message: Any, payload: Sequence[memoryview] = ()) -> None:
        """Write one message; ConnectionLost where the peer is gone or does not read."""
        with self._sending:
            self.begin(message, payload)
            while (wait_s := self._flush()) is not None:
                if wait_s < math.inf:
                    self._clock.sleep(wait_s)
                else:
                    self._stream.wait(GRACE_S, reading=False, writing=True)
                    self._check_outgoing()

    def receive(self, timeout_s: float, *, alone: bool = False) -> Any:
        """The next event: its first byte within `timeout_s`, the rest at LEAST_BYTES_PER_S or faster. `alone` is as in `pump`.

        Raises ConnectionLost where the peer is gone or too slow, RemoteProtocolError where it leaves the protocol.
        """
        end, comes_fast = self._clock.now() + timeout_s, True
        self.has_waited = False
        while True:
            if (event := self._read()) is not None:
                return event
            self._check_incoming()
            self.has_waited = self.has_waited or self._incoming is None
            before = self._clock.now()
            left = end - before if self._incoming is None else GRACE_S
            if left <= 0:
                raise PeerTooSlow(self.name, f"the peer sent nothing for {timeout_s:g} s")
            if self._incoming is None:
                self._stream.wait(left, reading=True, writing=False, awake_s=self._awake_s() if alone else 0.0)
            else:
                self._stream.wait(left, reading=True, writing=False, awake_s=INSIDE_S if comes_fast else 0.0)
                comes_fast = comes_fast and self._clock.now() - before < INSIDE_S

    # one thread does both --------------------------------------------------------------------------------------------

    def begin(self, message: Any, payload: Sequence[memoryview] = ()) -> None:
        """Put a message behind those that are being sent; `pump` sends them. The payload must stay as it is."""
        with self._talking:
            parts = self.connection.send(message, payload)
        if not self._out:
            self._outgoing = None
            if self._pacer is not None:
                self._pacer.begin()
        self._out.put(parts)

    def push(self) -> None:
        """Send what goes at once of what was begun; ConnectionLost where the peer is gone."""
        self._flush()

    def pump(self, timeout_s: float, wake: Wake | None = None, *, alone: bool = True) -> Any:
        """Send and receive what can be, until an event is complete, `timeout_s` is over or `wake` is set.

        Returns, too, when all that was begun is sent: the next message may wait for that. A thread that is `alone` may stay awake
        for AWAKE_S; the process has nothing else to do.
        """
        end = self._clock.now() + timeout_s
        while True:
            was_sending = bool(self._out)
            wait_s = self._flush() if was_sending else None
            if (event := self._read()) is not None:
                return event
            self._check_incoming()
            if was_sending and wait_s is None:
                return None
            if wait_s == math.inf:
                self._check_outgoing()
            left = end - self._clock.now()
            if left <= 0:
                return None
            most_s = min(left, GRACE_S, math.inf if wait_s is None else wait_s)
            awake_s = self._awake_s() if alone and wait_s is None else 0.0
            if self._stream.wait(most_s, reading=True, writing=wait_s == math.inf, wake=wake, awake_s=awake_s):
                return None

    def _awake_s(self) -> float:
        """How long a thread stays awake for what follows the message that was sent last: not at all where that has come, or came
        late the last time."""
        return self._sent_at + AWAKE_S - self._clock.now() if self._is_prompt and not self._is_answered else 0.0

    def shut_down(self) -> None:
        """End both directions; whoever waits in this channel, in any thread, sees the end of the stream."""
        self._stream.shut_down()

    def stop_reading(self) -> None:
        """End the receiving direction alone: who reads sees the end of the stream, and answers can still be sent."""
        self._stream.shut_down(writing=False)

    def close(self, linger_s: float = 0.0) -> None:
        """Close the stream; with `linger_s`, what the peer still sends is thrown away first."""
        self._stream.close(linger_s)

    # the stream ------------------------------------------------------------------------------------------------------

    def _read(self) -> Any:
        """Take what is there until it completes an event; None where more must come."""
        while True:
            if self._ahead:
                with self._talking:
                    event, n_bytes = self.connection.take(self._ahead)
                self._ahead = self._ahead[n_bytes:]
            else:
                is_long = self.connection.missing_bytes >= AHEAD_BYTES
                space = self.connection.buffer()[:PIECE_BYTES] if is_long else self._landing
                try:
                    n_bytes = self._stream.recv_into(space)
                except BlockingIOError:
                    return None
                except OSError as error:
                    raise _lost(self.name, "the connection broke", error) from None
                self._received_bytes += n_bytes
                if n_bytes and not is_long:
                    self._ahead = space[:n_bytes]
                    continue
                try:
                    with self._talking:
                        event = self.connection.received(n_bytes)
                except StreamCut:
                    raise ConnectionLost(self.name, "the peer closed the connection inside a message") from None
            if event is not None:
                self._incoming, self.moved_at = None, self._clock.now()
                if not self._is_answered:
                    self._is_answered, self._is_prompt = True, self.moved_at - self._sent_at < AWAKE_S
                return event
            self._incoming = self._incoming or _Progress(self._clock)
            self._incoming.note(n_bytes)
            self.moved_at = self._incoming.moved

    def _flush(self) -> float | None:
        """Send what can be. None when all is sent; else seconds until more may go, infinite: when the socket takes it."""
        try:
            while parts := self._out.first():
                if self._pacer is not None and (wait_s := self._wait_for_pacer(self._pacer, parts)) > 0:
                    self._outgoing = self._outgoing or _Progress(self._clock)
                    return wait_s
                n_bytes = self._stream.sendmsg(parts if self._pacer is None else beginning(parts, self._granted))
                self._sent_bytes += n_bytes
                self._granted -= n_bytes
                self._out.sent(n_bytes)
                self.moved_at = self._clock.now()
                if not self._out:
                    break
                self._outgoing = self._outgoing or _Progress(self._clock)
                self._outgoing.note(n_bytes)
            self._sent_at, self._is_answered = self.moved_at, False
        except BlockingIOError:
            self._outgoing = self._outgoing or _Progress(self._clock)
            return math.inf
        except OSError as error:
            raise _lost(self.name, "the connection broke while sending", error) from None
        return None

    def _wait_for_pacer(self, pacer: Pacer, parts: list[memoryview]) -> float:
        """Seconds until the next bytes may leave, GRACE_S at most: then it is asked again. `_granted` says how many those are."""
        if self._granted <= 0:
            self._granted = min(pacer.quantum_bytes, sum(part.nbytes for part in parts))
            self._due = pacer.due(self._granted)
        return min(self._due - self._clock.now(), GRACE_S)

    def _check_incoming(self) -> None:
        if self._incoming is None:
            return
        if self._incoming.has_stopped:
            raise PeerTooSlow(self.name, "the peer stopped inside a message")
        if self._incoming.is_too_slow:
            raise PeerTooSlow(self.name, "the peer sends too slowly")

    def _check_outgoing(self) -> None:
        if self._outgoing is not None and (self._outgoing.has_stopped or self._outgoing.is_too_slow):
            raise PeerTooSlow(self.name, "the peer stopped reading")
