"""The edge's side of a conversation. Messages are JSON objects, and those of a server are checked key by key.

Frames, checksums and the order of messages are in `runner.wire.protocol`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from lmos_edge.fields import Fields, many, of, text, whole
from lmos_edge.tensors import read_headers
from lmos_opt.errors import Problem
from runner.errors import RemoteProtocolError, one_line
from runner.wire.protocol.frames import FrameType
from runner.wire.protocol.side import Brief, OneSide
from runner.wire.protocol.turns import MOST_PLACES, MOST_UNANSWERED, ErrorCode, Role

LARGEST_PAYLOAD_BYTES = 2**30


@dataclass(frozen=True)
class Message:
    """A frame's type and its header, and how long the payload is that belongs to it; of a message that was received also the
    payload."""

    type: FrameType
    header: Mapping[str, Any]
    payload_bytes: int = 0
    payload: memoryview = field(default_factory=lambda: memoryview(b""))


class Conversation(OneSide[Message, Message]):
    """One conversation with a server, for a `runner.wire.transport.Channel`. Servers that were asked for no probes and no
    measurements have none to tell."""

    def __init__(self) -> None:
        super().__init__(Role.EDGE)

    def _hears(self, kind: FrameType) -> bool:
        return kind in _READERS and super()._hears(kind)

    def _brief(self, message: Message) -> Brief:
        about = None if message.type is FrameType.ERROR else message.header.get("id")
        return Brief(message.type, about, message.payload_bytes, message.header.get("window"),
                     message.header.get("capabilities", ()))

    def _written(self, message: Message) -> bytes:
        return json.dumps(message.header, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()

    def _read(self, kind: FrameType, header: bytes) -> Message:
        try:
            data = json.loads(header)
        except (ValueError, RecursionError):
            raise RemoteProtocolError(f"{kind.name}: the header is no JSON") from None
        found = read_header(kind, data)
        return Message(kind, found, found.pop("payload_bytes", 0))

    def _event(self, message: Message, payload: memoryview, seal: tuple[int, int]) -> Message:
        return replace(message, payload=payload)


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
    code = fields.one_of("code", get_args(ErrorCode))
    return {"code": code, "message": one_line(fields.take("message", "a text", of(str))), "id": number}


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
