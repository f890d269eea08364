"""The edge's side of a conversation, without any socket: bytes from messages, and messages from bytes, as docs/protocol.md says.

Who may say what when stands in TRANSITIONS; it is that of `runner.wire.protocol.connection`, by frame types. Whatever else the
server sends is a RemoteProtocolError. A length is judged before memory of that length is taken.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from lmos_edge.fields import Fields, many, of, text, whole
from lmos_edge.tensors import read_headers
from lmos_opt.errors import Problem
from runner.errors import LocalProtocolError, RemoteProtocolError, one_line
from runner.wire.protocol.checksum import crc32, crc32_of
from runner.wire.protocol.frames import PREFIX_BYTES, FrameType, Prefix, check_beginning, decode_prefix, encode_prefix

LARGEST_HEADER_BYTES = 2**20
LARGEST_PAYLOAD_BYTES = 2**30
MOST_PLACES = 16
MOST_UNANSWERED = 64
_SHORT = {FrameType.WELCOME: 2**12, FrameType.PONG: 2**8}
"""Headers of these are shorter."""
CODES = ("protocol", "token", "busy", "idle", "stopping", "next", "refused", "digest", "split", "tensors", "failed")
TRANSIENT = frozenset({"protocol", "busy", "idle", "stopping", "next"})
"""After these it makes sense to try again."""


class State(Enum):
    """Where the conversation stands."""

    START = auto()
    GREETED = auto()
    IDLE = auto()
    OPENING = auto()
    READY = auto()
    CLOSED = auto()


TRANSITIONS: dict[State, dict[FrameType, State]] = {
    State.START: {FrameType.HELLO: State.GREETED},
    State.GREETED: {FrameType.WELCOME: State.IDLE},
    State.IDLE: {FrameType.OPEN: State.OPENING},
    State.OPENING: {FrameType.READY: State.READY},
    State.READY: {FrameType.INFER: State.READY, FrameType.RESULT: State.READY},
    State.CLOSED: {},
}
for _state, _table in TRANSITIONS.items():
    if _state is not State.CLOSED:
        _table[FrameType.ERROR] = State.CLOSED
    if _state in {State.IDLE, State.OPENING, State.READY}:
        _table[FrameType.BYE] = State.CLOSED
        _table[FrameType.PING] = _table[FrameType.PONG] = _state
SAYS = frozenset({FrameType.WELCOME, FrameType.READY, FrameType.RESULT, FrameType.PONG, FrameType.ERROR})
"""What comes from a server that was asked for no probes."""


@dataclass(frozen=True)
class Message:
    """A frame's type and its header; of a RESULT also the payload, and the tensors in it."""

    type: FrameType
    header: Mapping[str, Any]
    payload: memoryview = field(default_factory=lambda: memoryview(b""))


@dataclass(frozen=True)
class Closed:
    """The server closed the stream between two messages."""


class Conversation:
    """One conversation with a server; for a `runner.wire.transport.Channel`.

    `result_bytes` is the most that a RESULT may carry, as READY said; `waiting` are the ids of questions without an answer.
    """

    def __init__(self) -> None:
        self.state = State.START
        self.result_bytes = 0
        self.waiting: set[int] = set()
        self.pings: set[int] = set()
        self._payload_crc = 0
        self._expect_prefix()

    def send(self, message: Message, payload: Sequence[memoryview] = ()) -> list[bytes | memoryview]:
        """The buffers to write, in order. LocalProtocolError where the message may not be sent now."""
        after = TRANSITIONS[self.state].get(message.type)
        if after is None or message.type in SAYS:
            raise LocalProtocolError(f"the edge cannot send {message.type.name} in state {self.state.name}")
        header = json.dumps(message.header, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
        if len(header) > LARGEST_HEADER_BYTES:
            raise LocalProtocolError(f"{message.type.name}: a header of {len(header)} bytes is too long")
        self.state = after
        asked = {FrameType.INFER: self.waiting, FrameType.PING: self.pings}.get(message.type)
        if asked is not None:
            asked.add(message.header["id"])
        n_bytes = sum(part.nbytes for part in payload)
        return [encode_prefix(message.type, header, n_bytes, crc32_of(payload)), header, *payload]

    def buffer(self) -> memoryview:
        """Where the next bytes belong."""
        return self._part[self._filled :]

    def received(self, n_bytes: int) -> Message | Closed | None:
        """The message that so many bytes in `buffer()` complete; Closed for 0 between two messages. RemoteProtocolError where the
        server left the protocol: the conversation is then of no use any more."""
        if n_bytes == 0:
            if self._prefix is not None or self._filled:
                raise RemoteProtocolError("the stream ended inside a message")
            return Closed()
        arrived = self._part[self._filled : self._filled + n_bytes]
        self._filled += n_bytes
        if self._header is not None:
            self._payload_crc = crc32(arrived, self._payload_crc)
        elif self._prefix is None:
            check_beginning(bytes(self._part[: self._filled]))
        if self._filled < len(self._part):
            return None
        if self._prefix is None:
            self._take_prefix()
            return None
        if self._header is None:
            self._take_header(self._prefix)
            if self._part:
                return None
        return self._complete(self._prefix)

    def _expect_prefix(self) -> None:
        self._prefix: Prefix | None = None
        self._header: Mapping[str, Any] | None = None
        self._payload_crc = 0
        self._next_part(memoryview(bytearray(PREFIX_BYTES)))

    def _next_part(self, part: memoryview) -> None:
        self._part, self._filled = part, 0

    def _take_prefix(self) -> None:
        prefix = decode_prefix(bytes(self._part))
        if prefix.type not in SAYS or prefix.type not in TRANSITIONS[self.state]:
            raise RemoteProtocolError(f"{prefix.type.name} is not expected in state {self.state.name}")
        most = _SHORT.get(prefix.type, LARGEST_HEADER_BYTES)
        if not 2 <= prefix.header_bytes <= most:
            raise RemoteProtocolError(f"{prefix.type.name}: a header of {prefix.header_bytes} bytes; at most {most} are allowed")
        limit = self.result_bytes if prefix.type is FrameType.RESULT else 0
        if prefix.payload_bytes > limit:
            raise RemoteProtocolError(f"{prefix.type.name}: a payload of {prefix.payload_bytes} bytes; at most {limit} are allowed")
        self._prefix = prefix
        self._next_part(memoryview(bytearray(prefix.header_bytes)))

    def _take_header(self, prefix: Prefix) -> None:
        name, data = prefix.type.name, bytes(self._part)
        if crc32(data) != prefix.header_crc:
            raise RemoteProtocolError(f"{name} came damaged: the checksum of its header is wrong")
        try:
            header = json.loads(data)
        except (ValueError, RecursionError):
            raise RemoteProtocolError(f"{name}: the header is no JSON") from None
        self._header = read_header(prefix.type, header)
        expected = self._header.get("payload_bytes", 0)
        if expected != prefix.payload_bytes:
            raise RemoteProtocolError(f"{name}: a payload of {prefix.payload_bytes} bytes for tensors of {expected}")
        asked = {FrameType.RESULT: self.waiting, FrameType.PONG: self.pings}.get(prefix.type)
        if asked is not None and self._header["id"] not in asked:
            raise RemoteProtocolError(f"{name} {self._header['id']} answers nothing")
        self._next_part(memoryview(mmap.mmap(-1, expected)) if expected else memoryview(bytearray()))

    def _complete(self, prefix: Prefix) -> Message:
        assert self._header is not None
        if self._payload_crc != prefix.payload_crc:
            raise RemoteProtocolError(f"{prefix.type.name} came damaged: the checksum of its payload is wrong")
        found = Message(prefix.type, self._header, self._part)
        self.state = TRANSITIONS[self.state][prefix.type]
        if prefix.type is FrameType.READY:
            self.result_bytes = found.header["result_bytes"]
        for kind, asked in ((FrameType.RESULT, self.waiting), (FrameType.PONG, self.pings)):
            if prefix.type is kind:
                asked.discard(found.header["id"])
        self._expect_prefix()
        return found


def read_header(kind: FrameType, data: Any) -> dict[str, Any]:
    """A server's header, checked, with its defaults; of a RESULT, `payload_bytes` is the length of its tensors. RemoteProtocolError
    for one that has other keys or values."""
    problems: list[Problem] = []
    if not isinstance(data, dict):
        raise RemoteProtocolError(f"{kind.name}: the header is no object")
    fields = Fields(data, problems)
    found = _READERS[kind](fields)
    for key in data.keys() - found.keys():
        fields.wrong(one_line(key, 100), "is not a key of this message")
    if problems:
        raise RemoteProtocolError(one_line(f"{kind.name}: {problems[0]}", 300))
    if kind is FrameType.RESULT:
        found["tensors"], found["payload_bytes"] = found["tensors"]
    return found


def _welcome(fields: Fields) -> dict[str, Any]:
    window = fields.whole("window")
    if window is not None and not 1 <= window <= MOST_UNANSWERED:
        fields.wrong("window", f"got {window}, expected 1 to {MOST_UNANSWERED}")
    return {"software": fields.text("software"), "capabilities": fields.texts("capabilities", ()), "window": window,
            "idle_s": fields.take("idle_s", "a time", _amount)}


def _ready(fields: Fields) -> dict[str, Any]:
    n_bytes = fields.whole("result_bytes")
    if n_bytes is not None and n_bytes > LARGEST_PAYLOAD_BYTES:
        fields.wrong("result_bytes", f"got {n_bytes}, expected at most {LARGEST_PAYLOAD_BYTES}")
    return {"result_bytes": n_bytes, "machine": fields.take("machine", "a machine", _machine),
            "beyond": fields.take("beyond", "machines", lambda value: _few(value, _machine), ())}


def _result(fields: Fields) -> dict[str, Any]:
    times = {key: fields.take(key, "a time", _amount, 0.0) for key in ("t_decode_s", "t_encode_s", "t_queue_s")}
    times["t_server_s"] = fields.take("t_server_s", "a time", _amount)
    return {"id": fields.whole("id"), "tensors": fields.take("tensors", "tensors that lie densely", read_headers), **times,
            "beyond": fields.take("beyond", "spans", lambda value: _few(value, _span), ())}


def _error(fields: Fields) -> dict[str, Any]:
    number = None if fields.data.get("id") is None else fields.whole("id")
    return {"code": fields.one_of("code", CODES), "message": one_line(fields.take("message", "a text", of(str))), "id": number}


def _pong(fields: Fields) -> dict[str, Any]:
    return {"id": fields.whole("id")}


_READERS: dict[FrameType, Callable[[Fields], dict[str, Any]]] = {
    FrameType.WELCOME: _welcome, FrameType.READY: _ready, FrameType.RESULT: _result, FrameType.ERROR: _error, FrameType.PONG: _pong,
}  # fmt: skip


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e15:
        raise ValueError
    return float(value)


def _few(value: Any, reads: Callable[[Any], Any]) -> tuple[Any, ...]:
    found = many(value, reads)
    if len(found) > MOST_PLACES:
        raise ValueError
    return found


_SPAN = {"t_tx_s": None, "t_server_s": None, "t_queue_s": 0.0, "t_decode_s": 0.0, "t_encode_s": 0.0}


def _span(value: Any) -> dict[str, Any]:
    span = of(dict)(value)
    if span.keys() - {*_SPAN, "sent_bytes"}:
        raise ValueError
    times: dict[str, Any] = {key: _amount(span.get(key, default)) for key, default in _SPAN.items()}
    return times if span.get("sent_bytes") is None else {**times, "sent_bytes": whole(span["sent_bytes"])}


def _machine(value: Any) -> dict[str, Any]:
    machine = of(dict)(value)
    if machine.keys() != {"versions", "system", "cpu", "cores", "threads", "commit"}:
        raise ValueError
    commit = machine["commit"]
    versions = {text(name): of(str)(version) for name, version in of(dict)(machine["versions"]).items()}
    return {"versions": versions, "system": of(str)(machine["system"]), "cpu": of(str)(machine["cpu"]),
            "cores": whole(machine["cores"]), "threads": whole(machine["threads"]), "commit": None if commit is None else
            of(str)(commit)}  # fmt: skip
