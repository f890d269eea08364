"""One side of a conversation, without any socket: bytes in, events out; messages in, bytes out.

What may be said when stands in `runner.wire.protocol.turns`; everything else is a LocalProtocolError (our fault) or a
RemoteProtocolError (the peer's). Questions (INFER, PING, PROBE, MEASURE) bear ids, several INFER may wait for their RESULT, and
each answer bears the id of a question that waits. The side hands out the very place where the next bytes belong, never longer
than what the current part of a frame still lacks: nothing is copied twice, and unread bytes are bounded by a prefix, a header of
that type and a payload of at most `payload_limit` bytes. How a message is kept, and so how a header is read, is a subclass's.
"""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from runner.errors import LocalProtocolError, RemoteProtocolError, StreamCut
from runner.wire.protocol.checksum import crc32, crc32_of
from runner.wire.protocol.frames import (
    PREFIX_BYTES,
    TRAILER_BYTES,
    FrameType,
    Prefix,
    check_beginning,
    decode_prefix,
    decode_trailer,
    encode_prefix,
    encode_trailer,
)
from runner.wire.protocol.turns import (
    ALIGNMENT,
    ANSWERS,
    LARGEST_PROBE_BYTES,
    MOST_HEADER_BYTES,
    QUESTIONS,
    TRANSITIONS,
    Role,
    State,
)

M = TypeVar("M")  # a message
E = TypeVar("E")  # the event of a whole message


@dataclass(frozen=True)
class Closed:
    """The peer closed the stream between two messages."""


class Brief(NamedTuple):
    """What a message's turn and payload are judged by: its type, the `id` of a question or an answer, how long the payload is that
    belongs to it, the `window` of a WELCOME, and the `capabilities` of a WELCOME or HELLO."""

    type: FrameType
    id: int | None = None
    payload_bytes: int = 0
    window: int | None = None
    capabilities: Collection[str] = ()


TRAILER = "trailer"
"""The capability of a side that takes frames with a trailer."""
TRAILED_PIECE_BYTES = 2**19
"""A longer payload gets a trailer. The checksum of a piece is taken while the peer takes the piece. If the checksum stood in the
prefix, the peer would first wait for all of it."""
NO_BYTES = memoryview(bytearray())


def fresh_memory(n_bytes: int) -> memoryview:
    """Page-aligned memory that is taken from the system only as bytes arrive in it."""
    return memoryview(mmap.mmap(-1, n_bytes) if n_bytes else bytearray())


_OF_TENSORS, _OF_PROBES = frozenset({FrameType.INFER, FrameType.RESULT}), frozenset({FrameType.PROBE, FrameType.ECHO})
SMALL_BYTES, STRETCH_BYTES = 2**14, 2**16


class Pieces:
    """Memory as `fresh_memory` gives it. Small pieces are cut from one stretch of pages, each beginning where a tensor may:
    fetching a page from the system takes longer than receiving what it holds."""

    def __init__(self) -> None:
        self._rest = memoryview(b"")

    def __call__(self, n_bytes: int) -> memoryview:
        """Room for so many bytes, which nobody else holds."""
        if not 0 < n_bytes <= SMALL_BYTES:
            return fresh_memory(n_bytes)
        if self._rest.nbytes < n_bytes:
            self._rest = fresh_memory(STRETCH_BYTES)
        room = -(-n_bytes // ALIGNMENT) * ALIGNMENT
        piece, self._rest = self._rest[:n_bytes], self._rest[room:]
        return piece


class OneSide(ABC, Generic[M, E]):
    """One side's view of the conversation.

    `payload_limit` bounds the tensors that the peer may send: 0 until whoever drives this side knows better.
    `window` is how many INFER may wait at once; WELCOME sets it. `memory` makes the place for a payload of n bytes (by default
    `Pieces`).
    """

    def __init__(self, role: Role, memory: Callable[[int], memoryview] | None = None) -> None:
        self.role = role
        self.peer = Role.SERVER if role is Role.EDGE else Role.EDGE
        self._peer_name = self.peer.name.lower()
        self.state = State.START
        self.payload_limit = 0
        self.window = 1
        self._memory = memory or Pieces()
        self._waiting: dict[FrameType, set[int]] = {kind: set() for kind in QUESTIONS}
        self._fault: str | None = None
        self._payload_crc: int = 0
        self._peer_takes_trailers = False
        self._part: memoryview | None = None
        self._expect_prefix()

    @abstractmethod
    def _brief(self, message: M) -> Brief:
        """What its turn and payload are judged by."""

    @abstractmethod
    def _written(self, message: M) -> bytes:
        """Its header, as bytes."""

    @abstractmethod
    def _read(self, kind: FrameType, header: bytes) -> M:
        """A message from its header; RemoteProtocolError for one that is not as docs/protocol.md says."""

    @abstractmethod
    def _event(self, message: M, payload: memoryview, seal: tuple[int, int]) -> E:
        """What is told of a whole message. `seal` are the checksums of header and payload."""

    def _hears(self, kind: FrameType) -> bool:
        """Whether the peer may send such a frame now."""
        return (self.peer, kind) in TRANSITIONS[self.state]

    @property
    def waiting(self) -> frozenset[int]:
        """The ids of the INFER that have no RESULT yet."""
        return frozenset(self._waiting[FrameType.INFER])

    @property
    def may_ask(self) -> bool:
        """Whether one more INFER may be sent now."""
        return self.state is State.READY and len(self._waiting[FrameType.INFER]) < self.window

    @property
    def pinged(self) -> bool:
        """Whether a PING waits for its PONG."""
        return bool(self._waiting[FrameType.PING])

    # sending ---------------------------------------------------------------------------------------------------------

    def send(self, message: M, payload: Sequence[memoryview] = ()) -> Iterable[bytes | memoryview]:
        """The buffers to write, in order. Of a long payload, ask for each when the ones before it are written. LocalProtocolError
        where the message may not be sent now."""
        brief = self._brief(message)
        after = TRANSITIONS[self.state].get((self.role, brief.type))
        if after is None:
            raise LocalProtocolError(f"{self.role.name} cannot send {brief.type.name} in state {self.state.name}")
        if sum([part.nbytes for part in payload]) != brief.payload_bytes:
            raise LocalProtocolError(f"{brief.type.name}: the payload is not as long as its tensors")
        header = self._written(message)
        if brief.type is FrameType.HELLO:
            header += b"\n"  # a server that reads lines, as of HTTP, answers now, and this side learns that it is another
        if len(header) > MOST_HEADER_BYTES[brief.type]:
            raise LocalProtocolError(f"{brief.type.name}: a header of {len(header)} bytes is too long")
        if (fault := self._out_of_turn(brief)) is not None:
            raise LocalProtocolError(fault)
        self._note(brief, after)
        if self._peer_takes_trailers and brief.payload_bytes > TRAILED_PIECE_BYTES:
            return _trailed(encode_prefix(brief.type, header, brief.payload_bytes, None) + header, payload)
        return [encode_prefix(brief.type, header, brief.payload_bytes, crc32_of(payload)) + header, *payload]

    # receiving -------------------------------------------------------------------------------------------------------

    @property
    def missing_bytes(self) -> int:
        """How many bytes the current part of the frame lacks."""
        return self._length - self._filled

    def buffer(self) -> memoryview:
        """Where the next bytes belong: at least one, at most what the current part of the frame lacks."""
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        if self._part is None:
            self._part = memoryview(bytearray(self._length))
        return self._part[self._filled :]

    def received(self, n_bytes: int) -> E | Closed | None:
        """Say that so many bytes were written to `buffer()` (0: the stream has ended).

        Returns an event where they complete one. StreamCut where the stream has ended inside a message. RemoteProtocolError where
        the peer left the protocol; from then on nothing more can be received.
        """
        try:
            return self._advance(n_bytes)
        except RemoteProtocolError as error:
            self._break(error)
            raise

    def take(self, data: memoryview) -> tuple[E | Closed | None, int]:
        """Take bytes that came elsewhere, up to those that complete an event: it, and how many were taken. RemoteProtocolError as
        from `received`."""
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        event: E | Closed | None = None
        taken = 0
        try:
            while taken < data.nbytes:
                piece = data[taken : taken + self._length - self._filled]
                taken += piece.nbytes
                if self._message is None and piece.nbytes == self._length:  # a whole prefix or header: no place of its own
                    event = self._take_whole(piece)
                else:
                    self.buffer()[: piece.nbytes] = piece
                    event = self._advance(piece.nbytes)
                if event is not None:
                    return event, taken
        except RemoteProtocolError as error:
            self._break(error)
            raise
        return None, taken

    def receive(self, data: bytes) -> list[E | Closed]:
        """Take bytes that came in any pieces; all the events that they complete."""
        rest, events = memoryview(data), []
        while rest:
            event, n_bytes = self.take(rest)
            rest = rest[n_bytes:]
            if event is not None:
                events.append(event)
        return events

    def _break(self, error: RemoteProtocolError) -> None:
        self._fault = str(error)
        self._part = None

    def _advance(self, n_bytes: int) -> E | Closed | None:
        if n_bytes == 0:
            if self._prefix is not None or self._filled:
                raise StreamCut("the stream ended inside a message")
            return Closed()
        assert self._part is not None
        arrived = self._part[self._filled : self._filled + n_bytes]
        self._filled += n_bytes
        if self._payload is not None:
            return None if self._filled < self._length else self._complete(self._payload, decode_trailer(self._part))
        if self._message is not None:
            self._payload_crc = crc32(arrived, self._payload_crc)  # while the bytes are in the processor's cache
            return None if self._filled < self._length else self._take_payload(self._part)
        if self._prefix is None and self._filled < self._length:
            check_beginning(bytes(self._part[: self._filled]), self._peer_name)
        elif self._filled == self._length:
            return self._take_whole(self._part)
        return None

    def _take_whole(self, part: memoryview) -> E | None:
        """A whole prefix or header: the event, where that was the last of the frame."""
        if self._prefix is not None:
            return self._take_header(self._prefix, bytes(part))
        self._take_prefix(part)
        return None

    def _expect_prefix(self) -> None:
        self._prefix: Prefix | None = None
        self._message: tuple[M, Brief] | None = None
        self._payload: memoryview | None = None  # whole, while its trailer comes
        self._payload_crc = 0
        self._length, self._filled = PREFIX_BYTES, 0  # of the part that comes now, and what is there of it
        self._part = None  # its place, made where it is needed

    def _take_prefix(self, whole: memoryview) -> None:
        prefix = decode_prefix(whole, self._peer_name)
        kind = prefix.type
        if not self._hears(kind):
            raise RemoteProtocolError(f"{kind.name} is not expected in state {self.state.name}")
        most = MOST_HEADER_BYTES[kind]
        if not 2 <= prefix.header_bytes <= most:
            raise RemoteProtocolError(f"{kind.name}: a header of {prefix.header_bytes} bytes; at most {most} are allowed")
        if prefix.payload_bytes > (most := self._most_payload_bytes(kind)):
            raise RemoteProtocolError(f"{kind.name}: a payload of {prefix.payload_bytes} bytes; at most {most} are allowed")
        self._prefix = prefix
        self._length, self._filled, self._part = prefix.header_bytes, 0, None

    def _take_header(self, prefix: Prefix, header: bytes) -> E | None:
        if crc32(header) != prefix.header_crc:
            raise RemoteProtocolError(f"{prefix.type.name} came damaged: the checksum of its header is wrong")
        message = self._read(prefix.type, header)
        brief = self._brief(message)
        if brief.payload_bytes != prefix.payload_bytes:
            raise RemoteProtocolError(f"{prefix.type.name}: a payload of {prefix.payload_bytes} bytes for tensors of "
                                      f"{brief.payload_bytes}")  # fmt: skip
        if (fault := self._out_of_turn(brief)) is not None:
            raise RemoteProtocolError(fault)
        self._message = message, brief
        if not prefix.payload_bytes:
            return self._take_payload(NO_BYTES)
        self._length, self._filled, self._part = prefix.payload_bytes, 0, self._memory(prefix.payload_bytes)
        return None

    def _take_payload(self, payload: memoryview) -> E | None:
        assert self._prefix is not None
        if self._prefix.payload_crc is not None:
            return self._complete(payload, self._prefix.payload_crc)
        self._payload, self._length, self._filled, self._part = payload, TRAILER_BYTES, 0, None
        return None

    def _complete(self, payload: memoryview, payload_crc: int) -> E:
        assert self._prefix is not None
        assert self._message is not None
        prefix, (message, brief) = self._prefix, self._message
        if self._payload_crc != payload_crc:
            raise RemoteProtocolError(f"{brief.type.name} came damaged: the checksum of its payload is wrong")
        after = TRANSITIONS[self.state].get((self.peer, brief.type))
        if after is None:  # another thread has ended the conversation since the prefix came
            raise RemoteProtocolError(f"{brief.type.name} is not expected in state {self.state.name}")
        self._note(brief, after)
        self._peer_takes_trailers = self._peer_takes_trailers or TRAILER in brief.capabilities
        self._expect_prefix()
        return self._event(message, payload, (prefix.header_crc, payload_crc))

    def _most_payload_bytes(self, kind: FrameType) -> int:
        if kind in _OF_TENSORS:
            return self.payload_limit
        return LARGEST_PROBE_BYTES if kind in _OF_PROBES else 0

    def _out_of_turn(self, brief: Brief) -> str | None:
        """What is wrong with a question or an answer that the state would allow."""
        if brief.type in QUESTIONS:
            waiting, most = self._waiting[brief.type], self.window if brief.type is FrameType.INFER else 1
            if brief.id in waiting:
                return f"{brief.type.name} {brief.id} is asked while it waits for its answer"
            if len(waiting) >= most:
                return f"{brief.type.name} {brief.id} is asked while {len(waiting)} wait; at most {most} may"
        elif brief.type in ANSWERS and brief.id not in self._waiting[ANSWERS[brief.type]]:
            return f"{brief.type.name} {brief.id} answers nothing"
        return None

    def _note(self, brief: Brief, after: State) -> None:
        self.state = after
        if brief.window is not None:
            self.window = brief.window
        if brief.id is None:
            return
        if brief.type in QUESTIONS:
            self._waiting[brief.type].add(brief.id)
        elif brief.type in ANSWERS:
            self._waiting[ANSWERS[brief.type]].discard(brief.id)


def _trailed(beginning: bytes, payload: Sequence[memoryview]) -> Iterator[bytes | memoryview]:
    """The buffers of a frame with a trailer."""
    yield beginning
    crc = 0
    for part in payload:
        for begin in range(0, part.nbytes, TRAILED_PIECE_BYTES):
            piece = part[begin : begin + TRAILED_PIECE_BYTES]
            yield piece
            crc = crc32(piece, crc)
    yield encode_trailer(crc)
