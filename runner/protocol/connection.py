"""One side of a conversation, without any socket: bytes in, events out; messages in, bytes out.

The edge speaks first. TRANSITIONS says who may say what when; everything else is a LocalProtocolError (our fault) or
a RemoteProtocolError (the peer's). The connection hands out the very place where the next bytes belong, never longer
than what the current part of a frame still lacks: nothing is copied twice, and unread bytes are bounded by a prefix, a
header of that type and a payload of at most `payload_limit` bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pydantic import ValidationError

from runner.errors import LocalProtocolError, RemoteProtocolError, one_line
from runner.protocol.frames import PREFIX_BYTES, Prefix, decode_prefix, encode_prefix
from runner.protocol.messages import MESSAGES, Bye, Error, Hello, Infer, Message, Open, Ready, Result


class Role(Enum):
    """The two sides."""

    EDGE = auto()
    SERVER = auto()


class State(Enum):
    """Where the conversation stands; both sides keep the same."""

    START = auto()
    GREETED = auto()
    IDLE = auto()
    OPENING = auto()
    READY = auto()
    BUSY = auto()
    CLOSED = auto()


TRANSITIONS: dict[State, dict[tuple[Role, type[Message]], State]] = {
    State.START: {(Role.EDGE, Hello): State.GREETED},
    State.GREETED: {(Role.SERVER, Hello): State.IDLE},
    State.IDLE: {(Role.EDGE, Open): State.OPENING, (Role.EDGE, Bye): State.CLOSED},
    State.OPENING: {(Role.SERVER, Ready): State.READY},
    State.READY: {(Role.EDGE, Infer): State.BUSY, (Role.EDGE, Bye): State.CLOSED},
    State.BUSY: {(Role.SERVER, Result): State.READY},
    State.CLOSED: {},
}
for _state, _table in TRANSITIONS.items():
    if _state is not State.CLOSED:  # the server may give up at any time
        _table[Role.SERVER, Error] = State.CLOSED


@dataclass(frozen=True)
class Received:
    """A whole message, and its payload (a writable view of memory that nobody else holds)."""

    message: Message
    payload: memoryview


@dataclass(frozen=True)
class Closed:
    """The peer closed the stream between two messages."""


Event = Received | Closed


def _memory(n_bytes: int) -> memoryview:
    """Page-aligned memory that is taken from the system only as bytes arrive in it."""
    return memoryview(mmap.mmap(-1, n_bytes) if n_bytes else bytearray())


class Connection:
    """One side's view of the conversation.

    `payload_limit` bounds the payloads that the peer may send: 0 until whoever drives the connection knows better.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.peer = Role.SERVER if role is Role.EDGE else Role.EDGE
        self.state = State.START
        self.payload_limit = 0
        self._asked: int | None = None  # the id of the INFER that waits for its RESULT
        self._fault: str | None = None
        self._expect_prefix()

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
        if isinstance(message, Result) and message.id != self._asked:
            raise LocalProtocolError(f"RESULT {message.id} answers nothing: {self._asked} was asked")
        self._note(message, after)
        return [encode_prefix(message.TYPE, header, message.payload_bytes), header, *payload]

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
        self._filled += n_bytes
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
        prefix.check(header)
        try:
            message = MESSAGES[prefix.type].model_validate_json(header)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise RemoteProtocolError(one_line(f"{prefix.type.name}: {where}: {first['msg']}", 300)) from None
        if message.payload_bytes != prefix.payload_bytes:
            raise RemoteProtocolError(f"{prefix.type.name}: a payload of {prefix.payload_bytes} bytes for tensors of "
                                      f"{message.payload_bytes}")
        if isinstance(message, Result) and message.id != self._asked:
            raise RemoteProtocolError(f"RESULT {message.id} answers nothing: {self._asked} was asked")
        self._message = message
        self._next_part(_memory(prefix.payload_bytes))

    def _complete(self) -> Received:
        message, payload = self._message, self._part
        assert message is not None
        self._note(message, TRANSITIONS[self.state][self.peer, type(message)])
        self._expect_prefix()
        return Received(message, payload)

    def _limit(self, kind: type[Message]) -> int:
        return self.payload_limit if kind in (Infer, Result) else 0

    def _note(self, message: Message, after: State) -> None:
        self.state = after
        if isinstance(message, Infer):
            self._asked = message.id
