"""One side of a conversation, without any socket: bytes in, events out; messages in, bytes out.

The edge speaks first. TRANSITIONS says who may say what when; everything else is a LocalProtocolError (our fault) or
a RemoteProtocolError (the peer's). Questions (INFER, PING, PROBE) bear ids, several INFER may wait for their RESULT,
and each answer bears the id of a question that waits. The connection hands out the very place where the next bytes
belong, never longer than what the current part of a frame still lacks: nothing is copied twice, and unread bytes are
bounded by a prefix, a header of that type and a payload of at most `payload_limit` bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pydantic import ValidationError

from runner.errors import LocalProtocolError, RemoteProtocolError, one_line
from runner.wire.protocol.checksum import crc32, crc32_of
from runner.wire.protocol.frames import PREFIX_BYTES, Prefix, check_beginning, decode_prefix, encode_prefix
from runner.wire.protocol.messages import (
    ANSWERS,
    LARGEST_PROBE_BYTES,
    MESSAGES,
    Answer,
    Bye,
    Echo,
    Error,
    Hello,
    Infer,
    Measure,
    Measured,
    Message,
    Open,
    Ping,
    Pong,
    Probe,
    Question,
    Ready,
    Result,
    Welcome,
)


class Role(Enum):
    """The two sides."""

    EDGE = auto()
    SERVER = auto()


class State(Enum):
    """Where the conversation stands; both sides come to the same."""

    START = auto()
    GREETED = auto()
    IDLE = auto()
    OPENING = auto()
    READY = auto()
    CLOSED = auto()


TRANSITIONS: dict[State, dict[tuple[Role, type[Message]], State]] = {
    State.START: {(Role.EDGE, Hello): State.GREETED},
    State.GREETED: {(Role.SERVER, Welcome): State.IDLE},
    State.IDLE: {(Role.EDGE, Open): State.OPENING},
    State.OPENING: {(Role.SERVER, Ready): State.READY},
    State.READY: {(Role.EDGE, Infer): State.READY, (Role.SERVER, Result): State.READY},
    State.CLOSED: {},
}
TRANSITIONS[State.IDLE][Role.EDGE, Measure] = State.IDLE
for _state, _table in TRANSITIONS.items():
    if _state is not State.CLOSED:  # the server may give up at any time
        _table[Role.SERVER, Error] = State.CLOSED
    if _state in {State.IDLE, State.OPENING, State.READY}:
        _table[Role.EDGE, Bye] = State.CLOSED
        _table[Role.SERVER, Measured] = _state
        for _asks, _answers in ((Ping, Pong), (Probe, Echo)):
            _table[Role.EDGE, _asks] = _table[Role.SERVER, _answers] = _state


@dataclass(frozen=True)
class Received:
    """A whole message, and its payload (a writable view of memory that nobody else holds).

    `seal` are the checksums of header and payload: of the same message sent again, they are the same.
    """

    message: Message
    payload: memoryview
    seal: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Closed:
    """The peer closed the stream between two messages."""


Event = Received | Closed


def fresh_memory(n_bytes: int) -> memoryview:
    """Page-aligned memory that is taken from the system only as bytes arrive in it."""
    return memoryview(mmap.mmap(-1, n_bytes) if n_bytes else bytearray())


class Connection:
    """One side's view of the conversation.

    `payload_limit` bounds the tensors that the peer may send: 0 until whoever drives the connection knows better.
    `window` is how many INFER may wait at once; WELCOME sets it. `memory` makes the place for a payload of n bytes.
    """

    def __init__(self, role: Role, memory: Callable[[int], memoryview] = fresh_memory) -> None:
        self.role = role
        self.peer = Role.SERVER if role is Role.EDGE else Role.EDGE
        self.state = State.START
        self.payload_limit = 0
        self.window = 1
        self._memory = memory
        self._waiting: dict[type[Message], set[int]] = {Infer: set(), Ping: set(), Probe: set(), Measure: set()}
        self._fault: str | None = None
        self._payload_crc: int = 0
        self._expect_prefix()

    @property
    def waiting(self) -> frozenset[int]:
        """The ids of the INFER that have no RESULT yet."""
        return frozenset(self._waiting[Infer])

    @property
    def pinged(self) -> bool:
        """Whether a PING waits for its PONG."""
        return bool(self._waiting[Ping])

    # sending ---------------------------------------------------------------------------------------------------------

    def send(self, message: Message, payload: Sequence[memoryview] = ()) -> list[bytes | memoryview]:
        """The buffers to write, in order. LocalProtocolError where the message may not be sent now."""
        after = TRANSITIONS[self.state].get((self.role, type(message)))
        if after is None:
            raise LocalProtocolError(f"{self.role.name} cannot send {message.TYPE.name} in state {self.state.name}")
        if sum(part.nbytes for part in payload) != message.payload_bytes:
            raise LocalProtocolError(f"{message.TYPE.name}: the payload is not as long as its tensors")
        header = message.model_dump_json().encode()
        if len(header) > message.LARGEST_HEADER_BYTES:
            raise LocalProtocolError(f"{message.TYPE.name}: a header of {len(header)} bytes is too long")
        if (fault := self._out_of_turn(message)) is not None:
            raise LocalProtocolError(fault)
        self._note(message, after)
        return [encode_prefix(message.TYPE, header, message.payload_bytes, crc32_of(payload)), header, *payload]

    # receiving -------------------------------------------------------------------------------------------------------

    def buffer(self) -> memoryview:
        """Where the next bytes belong: at least one, at most what the current part of the frame lacks."""
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        return self._part[self._filled :]

    def received(self, n_bytes: int) -> Event | None:
        """Say that so many bytes were written to `buffer()` (0: the stream has ended).

        Returns an event where they complete one. RemoteProtocolError where the peer left the protocol; from then on
        nothing more can be received.
        """
        try:
            return self._advance(n_bytes)
        except RemoteProtocolError as error:
            self._fault = str(error)
            self._part = memoryview(bytearray())
            raise

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes that came in any pieces; the events that they complete. For callers with bytes of their own."""
        rest, events = memoryview(data), []
        while rest:
            space = self.buffer()
            n = min(len(space), len(rest))
            space[:n] = rest[:n]
            rest = rest[n:]
            if (event := self.received(n)) is not None:
                events.append(event)
        return events

    def _advance(self, n_bytes: int) -> Event | None:
        if n_bytes == 0:
            if self._prefix is not None or self._filled:
                raise RemoteProtocolError("the stream ended inside a message")
            return Closed()
        arrived = self._part[self._filled : self._filled + n_bytes]
        self._filled += n_bytes
        if self._message is not None:
            self._payload_crc = crc32(arrived, self._payload_crc)  # while the bytes are in the processor's cache
        elif self._prefix is None:
            check_beginning(bytes(self._part[: self._filled]))
        if self._filled < len(self._part):
            return None
        if self._prefix is None:
            self._take_prefix()
            return None
        if self._message is None:
            self._take_header(self._prefix)
            if self._part:
                return None
        return self._complete()

    def _expect_prefix(self) -> None:
        self._prefix: Prefix | None = None
        self._message: Message | None = None
        self._payload_crc = 0
        self._next_part(memoryview(bytearray(PREFIX_BYTES)))

    def _next_part(self, part: memoryview) -> None:
        self._part, self._filled = part, 0

    def _take_prefix(self) -> None:
        prefix = decode_prefix(bytes(self._part))
        kind = MESSAGES[prefix.type]
        if (self.peer, kind) not in TRANSITIONS[self.state]:
            raise RemoteProtocolError(f"{prefix.type.name} is not expected in state {self.state.name}")
        if not 2 <= prefix.header_bytes <= kind.LARGEST_HEADER_BYTES:
            raise RemoteProtocolError(f"{prefix.type.name}: a header of {prefix.header_bytes} bytes; "
                                      f"at most {kind.LARGEST_HEADER_BYTES} are allowed")
        if prefix.payload_bytes > self._limit(kind):
            raise RemoteProtocolError(f"{prefix.type.name}: a payload of {prefix.payload_bytes} bytes; "
                                      f"at most {self._limit(kind)} are allowed")
        self._prefix = prefix
        self._next_part(memoryview(bytearray(prefix.header_bytes)))

    def _take_header(self, prefix: Prefix) -> None:
        header = bytes(self._part)
        if crc32(header) != prefix.header_crc:
            raise RemoteProtocolError(f"{prefix.type.name} came damaged: the checksum of its header is wrong")
        try:
            message = MESSAGES[prefix.type].model_validate_json(header)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise RemoteProtocolError(one_line(f"{prefix.type.name}: {where}: {first['msg']}", 300)) from None
        if message.payload_bytes != prefix.payload_bytes:
            raise RemoteProtocolError(f"{prefix.type.name}: a payload of {prefix.payload_bytes} bytes for tensors of "
                                      f"{message.payload_bytes}")
        if (fault := self._out_of_turn(message)) is not None:
            raise RemoteProtocolError(fault)
        self._message = message
        self._next_part(self._memory(prefix.payload_bytes) if prefix.payload_bytes else memoryview(bytearray()))

    def _complete(self) -> Received:
        message, payload = self._message, self._part
        assert message is not None
        assert self._prefix is not None
        if self._payload_crc != self._prefix.payload_crc:
            raise RemoteProtocolError(f"{message.TYPE.name} came damaged: the checksum of its payload is wrong")
        seal = self._prefix.header_crc, self._prefix.payload_crc
        after = TRANSITIONS[self.state].get((self.peer, type(message)))
        if after is None:  # another thread has ended the conversation since the prefix came
            raise RemoteProtocolError(f"{message.TYPE.name} is not expected in state {self.state.name}")
        self._note(message, after)
        self._expect_prefix()
        return Received(message, payload, seal)

    def _limit(self, kind: type[Message]) -> int:
        if kind in (Probe, Echo):
            return LARGEST_PROBE_BYTES
        return self.payload_limit if kind in (Infer, Result) else 0

    def _out_of_turn(self, message: Message) -> str | None:
        """What is wrong with a question or an answer that the state would allow."""
        if isinstance(message, Question):
            waiting, most = self._waiting[type(message)], self.window if isinstance(message, Infer) else 1
            if message.id in waiting:
                return f"{message.TYPE.name} {message.id} is asked while it waits for its answer"
            if len(waiting) >= most:
                return f"{message.TYPE.name} {message.id} is asked while {len(waiting)} wait; at most {most} may"
        elif isinstance(message, Answer) and message.id not in self._waiting[ANSWERS[type(message)]]:
            return f"{message.TYPE.name} {message.id} answers nothing"
        return None

    def _note(self, message: Message, after: State) -> None:
        self.state = after
        if isinstance(message, Welcome):
            self.window = message.window
        elif isinstance(message, Question):
            self._waiting[type(message)].add(message.id)
        elif isinstance(message, Answer):
            self._waiting[ANSWERS[type(message)]].discard(message.id)
