"""The edge's side of a conversation beside the runner's own: the same states, and each understands the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lmos_edge.conversation import Conversation, Message, read_header
from lmos_edge.server import SOFTWARE
from runner.errors import LocalProtocolError, NotOurProtocol, RemoteProtocolError
from runner.machine import this_machine
from runner.wire import protocol
from runner.wire.protocol import Closed, Connection, Error, Pong, Ready, Received, Result, Role, Span, State, Welcome
from runner.wire.protocol.frames import FrameType, encode_prefix
from runner.wire.tensors import pack

HELLO = {"software": SOFTWARE, "capabilities": ["resend"], "token": None}
OPEN = {"session": "0" * 32, "network": {"builder": "a:b", "weights": "seeded:0", "digest": "sha256:" + "0" * 64},
        "granularity": "module", "input": {"shape": [1, 4], "dtype": "float32"}, "edge_layers": [], "codec": "raw"}  # fmt: skip


def told(to: Connection, message: Message, payload: tuple[memoryview, ...] = (), by: Conversation | None = None) -> protocol.Event:
    assert by is not None
    (event,) = to.receive(b"".join(by.send(message, payload)))
    return event


def heard(edge: Conversation, data: bytes) -> Message | Closed | None:
    """What the edge makes of bytes that come in pieces of any size."""
    found, rest = None, memoryview(data)
    while rest:
        space = edge.buffer()
        n = min(len(space), len(rest), 7)
        space[:n] = rest[:n]
        rest = rest[n:]
        found = edge.received(n) or found
    return found


@pytest.fixture
def ready() -> tuple[Conversation, Connection]:
    edge, server = Conversation(), Connection(Role.SERVER)
    told(server, Message(FrameType.HELLO, HELLO), by=edge)
    heard(edge, b"".join(server.send(Welcome(software="s", window=4, idle_s=9.0))))
    told(server, Message(FrameType.OPEN, OPEN), by=edge)
    found = heard(edge, b"".join(server.send(Ready(result_bytes=100, machine=this_machine(1)))))
    assert isinstance(found, Message)
    assert found.header["machine"] == this_machine(1).model_dump(mode="json")
    server.payload_limit, edge.payload_limit = 1000, found.header["result_bytes"]
    return edge, server


def result(number: int = 1, **changes: object) -> tuple[Result, list[memoryview]]:
    headers, payload = pack({"output": torch.tensor([[1.0, 2.0]])})
    return Result(id=number, tensors=headers, t_server_s=0.5, **changes), payload  # type: ignore[arg-type]


def test_a_question_gets_its_answer(ready: tuple[Conversation, Connection]) -> None:
    edge, server = ready
    told(server, Message(FrameType.PING, {"id": 7}), by=edge)
    assert isinstance(heard(edge, b"".join(server.send(Pong(id=7)))), Message)
    infer = {"id": 1, "tensors": [], "scalars": {}}
    event = told(server, Message(FrameType.INFER, infer), by=edge)
    assert isinstance(event, Received)
    message, payload = result()
    found = heard(edge, b"".join(server.send(message, payload)))
    assert isinstance(found, Message)
    assert bytes(found.payload) == b"".join(payload)
    assert (found.header["t_server_s"], found.header["t_queue_s"], found.header["beyond"]) == (0.5, 0.0, ())
    assert not edge.waiting


def test_an_error_closes_and_says_what_it_is_about(ready: tuple[Conversation, Connection]) -> None:
    edge, server = ready
    found = heard(edge, b"".join(server.send(Error.of("tensors", "not\nthese", 3))))
    assert isinstance(found, Message)
    assert found.header == {"code": "tensors", "message": "not these", "id": 3}
    assert edge.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        edge.send(Message(FrameType.BYE, {}))


def test_what_later_places_took_is_heard(ready: tuple[Conversation, Connection]) -> None:
    edge, server = ready
    told(server, Message(FrameType.INFER, {"id": 1, "tensors": [], "scalars": {}}), by=edge)
    spans = (Span(t_tx_s=1.0, t_server_s=2.0, t_queue_s=0.5), Span(t_tx_s=3.0, t_server_s=4.0, t_encode_s=0.1, sent_bytes=7))
    message, payload = result(beyond=spans, t_encode_s=0.25)
    found = heard(edge, b"".join(server.send(message, payload)))
    assert isinstance(found, Message)
    assert found.header["t_encode_s"] == 0.25
    assert tuple(Span.model_validate(span) for span in found.header["beyond"]) == spans


def frame(kind: FrameType, header: bytes, payload_bytes: int = 0) -> bytes:
    return encode_prefix(kind, header, payload_bytes) + header


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


RESULT = b'{"id": 1, "tensors": [], "t_server_s": 0.0}'
WRONG: dict[str, Callable[[], bytes]] = {
    "another question": lambda: frame(FrameType.RESULT, RESULT.replace(b"1", b"2")),
    "a payload too large": lambda: frame(FrameType.RESULT, RESULT, 101),
    "a payload without tensors": lambda: frame(FrameType.RESULT, RESULT, 50),
    "a negative time": lambda: frame(FrameType.RESULT, RESULT.replace(b"0.0", b"-1")),
    "a time that is none": lambda: frame(FrameType.RESULT, RESULT.replace(b"0.0", b"NaN")),
    "another key": lambda: frame(FrameType.RESULT, b'{"id": 1, "tensors": [], "t_server_s": 0.0, "address": "a"}'),
    "a deep header": lambda: frame(FrameType.RESULT, b"[" * 100_000),
    "no object": lambda: frame(FrameType.RESULT, b"[]"),
    "a frame of the edge's": lambda: frame(FrameType.INFER, RESULT),
    "a frame at the wrong time": lambda: frame(FrameType.WELCOME, b'{"software": "s", "window": 1, "idle_s": 1}'),
    "a damaged prefix": lambda: flipped(frame(FrameType.RESULT, RESULT), 9),
    "a damaged header": lambda: flipped(frame(FrameType.RESULT, RESULT), 40),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_server_that_leaves_the_protocol_is_found_out(ready: tuple[Conversation, Connection], what: str) -> None:
    edge, _ = ready
    edge.send(Message(FrameType.INFER, {"id": 1, "tensors": [], "scalars": {}}))
    with pytest.raises(RemoteProtocolError):
        heard(edge, WRONG[what]())


def test_a_damaged_payload_is_found_out(ready: tuple[Conversation, Connection]) -> None:
    edge, server = ready
    told(server, Message(FrameType.INFER, {"id": 1, "tensors": [], "scalars": {}}), by=edge)
    message, payload = result()
    data = b"".join(server.send(message, payload))
    with pytest.raises(RemoteProtocolError, match="the checksum of its payload is wrong"):
        heard(edge, flipped(data, len(data) - 1))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"LMOS\x63" + bytes(27)])
def test_something_else_than_the_protocol_is_said_so(answer: bytes) -> None:
    with pytest.raises(NotOurProtocol):
        heard(Conversation(), answer)


@pytest.mark.parametrize("wrong", [
    {"window": 0}, {"window": 65}, {"idle_s": "1"}, {"software": ""}, {"capabilities": [1]}, {"x": 1},
])  # fmt: skip
def test_values_that_no_welcome_has_are_refused(wrong: dict[str, object]) -> None:
    right = {"software": "s", "window": 1, "idle_s": 1.0}
    assert read_header(FrameType.WELCOME, right)["capabilities"] == ()
    with pytest.raises(RemoteProtocolError, match=f"^WELCOME: {next(iter(wrong))}: "):
        read_header(FrameType.WELCOME, {**right, **wrong})
