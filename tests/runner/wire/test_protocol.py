"""The protocol without sockets: two peers joined in memory, hostile bytes, tensors bit by bit."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from lmos_opt.profile import DTYPE_BYTES, NetworkSource, TensorSpec, Timing
from measurement import codecs
from measurement.codecs import CodecError
from runner.errors import LocalProtocolError, NotOurProtocol, RemoteProtocolError, StreamCut
from runner.machine import this_machine
from runner.wire.protocol import (
    Bye,
    Closed,
    Connection,
    Echo,
    Error,
    Event,
    Hello,
    Infer,
    Measure,
    Measured,
    Message,
    Open,
    Ping,
    Pong,
    Probe,
    Ready,
    Received,
    Result,
    Role,
    State,
    TensorHeader,
    Welcome,
)
from runner.wire.protocol.frames import PREFIX_BYTES, FrameType, encode_prefix
from runner.wire.protocol.headers import LARGEST_PAYLOAD_BYTES
from runner.wire.protocol.messages import MESSAGES, LayerTime
from runner.wire.protocol.turns import ANSWERS, TRANSITIONS
from runner.wire.tensors import DTYPES, describe, pack, unpack, unpack_read

HELLO = Hello(software="lmos test", capabilities=("codec:raw", "of another time"), token="a token")
WELCOME = Welcome(software="lmos test", window=2, idle_s=60.0)
SESSION = "0123456789abcdef" * 2
OPEN = Open(
    session=SESSION, network=NetworkSource(builder="torchvision:alexnet", weights="seeded:0", digest="sha256:" + "0" * 64),
    granularity="module", input=TensorSpec(shape=(1, 3, 8, 8), dtype="float32"), edge_layers=("a", "b"), codec="raw",
)
PROBE_SAMPLE = Probe(id=1, probe_bytes=0, echo_bytes=0)
READY = Ready(result_bytes=4000, machine=this_machine(2))
TENSORS = {"a": torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2), "b": torch.tensor([True, False])}


Payload = list[memoryview]


def tensors_message(
    kind: type[Message], tensors: dict[str, Tensor], number: int = 3, **fields: object
) -> tuple[Message, Payload]:
    headers, payload = pack(tensors)
    return kind(id=number, tensors=headers, **fields), payload  # type: ignore[call-arg]


def join(parts: Iterable[bytes | memoryview]) -> bytes:
    return b"".join(bytes(part) for part in parts)


def conversation() -> list[tuple[Role, Message, list[memoryview]]]:
    infer, sent = tensors_message(Infer, TENSORS, scalars={"size": 1, "shape": [1, 2]})
    later, _ = tensors_message(Infer, TENSORS, 4, scalars={"size": 1, "shape": [1, 2]})
    result, answer = tensors_message(Result, {"output": torch.randn(1, 10)}, t_server_s=0.25)
    final, _ = tensors_message(Result, {"output": torch.randn(1, 10)}, 4, t_server_s=0.25)
    probe, echo = Probe(id=1, probe_bytes=5, echo_bytes=3), Echo(id=1, echo_bytes=3, t_server_s=0.0)
    measure = Measure(id=1, network=OPEN.network, granularity="module", input=OPEN.input, budget_s=1.0)
    measured = Measured(id=1, layers=(LayerTime(name="a", t_s=0.5),), timing=Timing(threads=1), machine=READY.machine)
    return [
        (Role.EDGE, HELLO, []), (Role.SERVER, WELCOME, []),
        (Role.EDGE, probe, [memoryview(b"12345")]), (Role.SERVER, echo, [memoryview(b"123")]),
        (Role.EDGE, measure, []), (Role.SERVER, measured, []),
        (Role.EDGE, OPEN, []), (Role.EDGE, Ping(id=1), []), (Role.SERVER, Pong(id=1), []), (Role.SERVER, READY, []),
        (Role.EDGE, infer, sent), (Role.EDGE, later, sent), (Role.SERVER, result, answer), (Role.EDGE, infer, sent),
        (Role.SERVER, final, answer), (Role.SERVER, result, answer), (Role.EDGE, Bye(), []),
    ]  # fmt: skip


def peers() -> dict[Role, Connection]:
    found = {role: Connection(role) for role in Role}
    for connection in found.values():
        connection.payload_limit = 4000
    return found


def server_in(state: State) -> Connection:
    """A server's connection that has come to a state in which the edge speaks."""
    both = peers()
    for role, message, payload in conversation():
        if both[Role.SERVER].state is state and not both[Role.SERVER]._waiting[FrameType.PING]:
            break
        other = Role.SERVER if role is Role.EDGE else Role.EDGE
        both[other].receive(join(both[role].send(message, payload)))
    assert both[Role.SERVER].state is state
    return both[Role.SERVER]


def frame(message: Message, payload: bytes = b"", *, header: bytes | None = None, length: int | None = None) -> bytes:
    if header is None:
        header = message.model_dump_json().encode() + (b"\n" if isinstance(message, Hello) else b"")
    prefix = encode_prefix(message.TYPE, header, len(payload) if length is None else length, zlib.crc32(payload))
    return prefix + header + payload


def sealed(data: bytearray) -> bytearray:
    """The frame with all its checksums right again."""
    if len(data) >= PREFIX_BYTES:
        length = min(struct.unpack_from("<I", data, 8)[0], len(data))
        header, payload = data[PREFIX_BYTES : PREFIX_BYTES + length], data[PREFIX_BYTES + length :]
        struct.pack_into("<II", data, 20, zlib.crc32(header), zlib.crc32(payload))
        struct.pack_into("<I", data, 28, zlib.crc32(data[:28]))
    return data


def same(one: Event, other: Event) -> bool:
    if isinstance(one, Closed) or isinstance(other, Closed):
        return one == other
    return one.message == other.message and bytes(one.payload) == bytes(other.payload)


def test_a_whole_conversation_keeps_both_sides_in_one_state() -> None:
    both = peers()
    for role, message, payload in conversation():
        other = Role.SERVER if role is Role.EDGE else Role.EDGE
        (event,) = both[other].receive(join(both[role].send(message, payload)))
        assert isinstance(event, Received)
        assert event.message == message
        assert bytes(event.payload) == join(list(payload))
        assert both[Role.EDGE].state is both[Role.SERVER].state
    assert both[Role.EDGE].state is State.CLOSED


def test_every_message_in_every_state_is_in_the_table_or_refused_on_both_sides() -> None:
    samples = {type(message): (message, payload) for _, message, payload in reversed(conversation())}
    samples[Error] = (Error.of("failed", "no"), [])
    assert set(samples) == set(MESSAGES.values())
    for state, table in TRANSITIONS.items():
        for role in Role:
            for kind, (message, payload) in samples.items():
                sender, receiver = peers()[role], peers()[Role.SERVER if role is Role.EDGE else Role.EDGE]
                sender.state = receiver.state = state
                sender.window = receiver.window = 2
                if kind.TYPE in ANSWERS:
                    for connection in (sender, receiver):
                        connection._waiting[ANSWERS[kind.TYPE]] = {message.id}
                data = frame(message, join(list(payload)))
                if (role, kind.TYPE) in table:
                    assert join(sender.send(message, payload)) == data
                    (event,) = receiver.receive(data)
                    assert isinstance(event, Received)
                    assert sender.state is receiver.state is table[role, kind.TYPE]
                else:
                    with pytest.raises(LocalProtocolError):
                        sender.send(message, payload)
                    with pytest.raises(RemoteProtocolError):
                        receiver.receive(data)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_split_into_chunks_gives_the_same_events(data: st.DataObject) -> None:
    said = conversation()
    stream = b"".join(frame(message, join(list(payload))) for role, message, payload in said if role is Role.EDGE)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    chunks = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]

    def events(chunks: list[bytes]) -> list[Event]:
        server = peers()[Role.SERVER]
        script = list(said)
        found: list[Event] = []
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:  # the server answers as soon as it may
                n = min(len(rest), len(server.buffer()))
                server.buffer()[:n] = rest[:n]
                rest = rest[n:]
                if (event := server.received(n)) is not None:
                    found.append(event)
                    script.pop(0)
                    while script and script[0][0] is Role.SERVER:
                        server.send(*script.pop(0)[1:])
        end = server.received(0)
        assert end == Closed()
        return [*found, end]

    whole, pieces = events([stream]), events(chunks)
    assert len(whole) == len(pieces) == 10
    assert all(same(a, b) for a, b in zip(whole, pieces, strict=True))


@given(
    state=st.sampled_from([State.START, State.IDLE, State.READY]),
    where=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    cut=st.none() | st.floats(0, 1),
    seal=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_mutated_bytes_are_valid_events_or_the_peers_fault(
    state: State, where: list[tuple[float, int]], cut: float | None, seal: bool
) -> None:
    server = server_in(state)
    message, payload = {
        State.START: (HELLO, []), State.IDLE: (OPEN, []), State.READY: tensors_message(Infer, TENSORS, scalars={}),
    }[state]  # fmt: skip
    data = bytearray(frame(message, join(list(payload))))
    for position, value in where:
        data[int(position * len(data))] = value
    if seal:  # an attacker computes the checksums too
        sealed(data)
    if cut is not None:
        del data[int(cut * len(data)) :]
    try:
        events = server.receive(bytes(data))
        if server._filled or server._prefix:
            server.received(0)
    except (RemoteProtocolError, StreamCut):
        return
    for event in events:
        assert isinstance(event, Received)
        assert isinstance(event.message, type(message))
        assert event.payload.nbytes == event.message.payload_bytes
        if isinstance(event.message, Infer):
            unpack(event.message.tensors, event.payload)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_the_peers_fault_or_wait_for_more(data: bytes) -> None:
    server = Connection(Role.SERVER)
    try:
        assert server.receive(data) == []
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            server.buffer()
    else:
        assert b"LMOS\x02".startswith(data[:5])


@pytest.mark.parametrize("length", [4001, LARGEST_PAYLOAD_BYTES, 2**64 - 1])
def test_a_long_payload_is_refused_at_its_prefix(length: int) -> None:
    message, _ = tensors_message(Infer, TENSORS, scalars={})
    with pytest.raises(RemoteProtocolError, match="payload"):
        server_in(State.READY).receive(frame(message, length=length)[:PREFIX_BYTES])


def test_no_payload_is_taken_before_a_plan_is_open() -> None:
    with pytest.raises(RemoteProtocolError, match="at most 0"):
        Connection(Role.SERVER).receive(frame(HELLO, length=1)[:PREFIX_BYTES])


@pytest.mark.parametrize("length", [0, 1, 5000])
def test_a_header_of_no_length_or_a_long_one_is_refused_at_its_prefix(length: int) -> None:
    prefix = encode_prefix(HELLO.TYPE, b"x" * length, 0)
    with pytest.raises(RemoteProtocolError, match=f"header of {length} bytes; at most 4096"):
        Connection(Role.SERVER).receive(prefix)


@pytest.mark.parametrize(
    "header",
    [
        b"{}", b"[]", b"null", b"not json", b'{"software": NaN}', b'{"software": 1}', b"\xff\xfe", b"[" * 4000,
        b'{"software":"a","more":1}', b'{"software":' + b'{"a":' * 700 + b"1" + b"}" * 700 + b"}",
        b'{"software":"\\ud800"}', b'{"software":"' + b"1" * 501 + b'"}', b"9" * 4000, b'{"software":"a\\u001b[31m"}',
    ],
)  # fmt: skip
def test_a_header_that_is_no_hello_is_refused(header: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Connection(Role.SERVER).receive(frame(HELLO, header=header))


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (2,) * 17, "strides": (1,) * 17}, {"shape": (2**53, 2**53), "strides": (2**53, 1)},
        {"shape": (0, 2**53), "strides": (1, 1)}, {"strides": (1, 1)}, {"strides": (0, 1)}, {"strides": (8, 1)},
        {"strides": (4,)}, {"dtype": "object"}, {"dtype": "qint8"}, {"shape": (-1, 4)}, {"shape": (2.5, 4)},
        {"name": ""}, {"strides": (4, 2**50), "shape": (3, 1)},
    ],
)  # fmt: skip
def test_a_tensor_header_that_no_dense_tensor_has_is_refused(change: dict[str, object]) -> None:
    fields: dict[str, object] = {"name": "a", "dtype": "float32", "shape": (3, 4), "strides": (4, 1)}
    assert TensorHeader.model_validate(fields).bytes == 48
    with pytest.raises(ValueError, match=r"(?i)shape|strides|dtype|name"):
        TensorHeader.model_validate({**fields, **change})


def test_the_payload_must_be_as_long_as_its_tensors() -> None:
    message, payload = tensors_message(Infer, TENSORS, scalars={})
    data = join(list(payload))
    with pytest.raises(RemoteProtocolError, match="for tensors of"):
        server_in(State.READY).receive(frame(message, data + b"\0"))
    edge = peers()[Role.EDGE]
    edge.state = State.READY
    with pytest.raises(LocalProtocolError, match="not as long"):
        edge.send(message, payload[:-1])


def test_a_result_must_answer_what_was_asked() -> None:
    edge = peers()[Role.EDGE]
    edge.state = State.READY
    message, payload = tensors_message(Infer, TENSORS, scalars={})
    edge.send(message, payload)
    answer, payload = tensors_message(Result, {}, t_server_s=0.0)
    with pytest.raises(RemoteProtocolError, match="answers nothing"):
        edge.receive(frame(answer.model_copy(update={"id": 4})))


def test_the_end_of_the_stream_is_an_event_between_messages_and_a_cut_inside() -> None:
    assert isinstance(Connection(Role.SERVER).received(0), Closed)
    for length in (1, PREFIX_BYTES, len(frame(HELLO)) - 1):
        server = Connection(Role.SERVER)
        assert server.receive(frame(HELLO)[:length]) == []
        with pytest.raises(StreamCut, match="inside a message"):
            server.received(0)


def test_a_message_that_the_end_overtakes_is_the_peers_fault() -> None:
    server = server_in(State.IDLE)
    data = frame(Ping(id=1))
    assert server.receive(data[:PREFIX_BYTES]) == []
    server.send(Error.of("refused", "another thread has had enough"))
    with pytest.raises(RemoteProtocolError, match="PING is not expected in state CLOSED"):
        server.receive(data[PREFIX_BYTES:])


def test_another_protocol_and_another_version_are_named() -> None:
    with pytest.raises(RemoteProtocolError, match="what connected is no lmos edge: it speaks HTTP"):
        Connection(Role.SERVER).receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="the edge speaks version 9 of the protocol; the server speaks version 2"):
        Connection(Role.SERVER).receive(b"LMOS\x09" + frame(HELLO)[5:])
    with pytest.raises(NotOurProtocol, match=r"the edge speaks TLS, the server was started without \(--tls-cert"):
        Connection(Role.SERVER).receive(b"\x16\x03\x01")
    with pytest.raises(NotOurProtocol, match=r"the server speaks TLS, the edge was started without \(--ca"):
        Connection(Role.EDGE).receive(b"\x15\x03\x01")
    with pytest.raises(NotOurProtocol, match="what answers there is no lmos server: it does not speak the lmos protocol"):
        Connection(Role.EDGE).receive(b"SSH-2.0-")
    for few in (b"G", b"LMX", b"LMOS\x01"):  # nobody waits for the rest
        with pytest.raises(NotOurProtocol):
            Connection(Role.SERVER).receive(few)


@pytest.mark.parametrize("where", range(0, 380, 5))
def test_one_changed_byte_anywhere_is_noticed_as_soon_as_its_part_is_there(where: int) -> None:
    message, payload = tensors_message(Infer, TENSORS, scalars={})
    data = bytearray(frame(message, join(list(payload))))
    if where >= len(data):
        pytest.skip("beyond the frame")
    data[where] ^= 0x10
    header_bytes = struct.unpack_from("<I", frame(message), 8)[0]
    ends = (PREFIX_BYTES, PREFIX_BYTES + header_bytes, len(data))
    part = next(end for end in ends if where < end)
    with pytest.raises(RemoteProtocolError, match=r"damaged|is no lmos edge|speaks version"):
        server_in(State.READY).receive(bytes(data[:part]))


def test_no_more_questions_than_the_window_and_none_twice() -> None:
    asked = [tensors_message(Infer, TENSORS, number, scalars={}) for number in (1, 1, 2, 3)]
    for numbers, fault in (((0, 1), "while it waits"), ((0, 2, 3), "at most 2 may")):
        both = peers()
        for connection in both.values():
            connection.state, connection.window = State.READY, 2
        for k in numbers[:-1]:
            both[Role.SERVER].receive(join(both[Role.EDGE].send(*asked[k])))
        message, payload = asked[numbers[-1]]
        with pytest.raises(LocalProtocolError, match=fault):
            both[Role.EDGE].send(message, payload)
        with pytest.raises(RemoteProtocolError, match=fault):
            both[Role.SERVER].receive(frame(message, join(list(payload))))


def test_one_ping_at_a_time() -> None:
    edge = peers()[Role.EDGE]
    edge.state = State.IDLE
    edge.send(Ping(id=1))
    with pytest.raises(LocalProtocolError, match="at most 1 may"):
        edge.send(Ping(id=2))
    edge.receive(frame(Pong(id=1)))
    edge.send(Ping(id=2))


def test_a_probe_is_bounded_before_any_of_it_is_taken() -> None:
    with pytest.raises(RemoteProtocolError, match="at most 4194304"):
        server_in(State.IDLE).receive(frame(PROBE_SAMPLE, length=2**22 + 1)[:PREFIX_BYTES])
    with pytest.raises(ValueError, match="echo_bytes"):
        Probe(id=1, probe_bytes=0, echo_bytes=2**22 + 1)


def test_an_error_text_of_any_kind_fits_in_one_printable_line() -> None:
    error = Error.of("failed", "two\nlines\x1b[31m " + "x" * 5000)
    assert error.message.startswith("two lines [31m xxx")
    assert len(error.message) == 2000


@st.composite
def dense_tensors(draw: st.DrawFn) -> Tensor:
    dtype = DTYPES[draw(st.sampled_from(sorted(DTYPES)))]
    shape = draw(st.lists(st.sampled_from([0, 1, 1, 2, 3, 5]), max_size=5))
    order = draw(st.permutations(range(len(shape))))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    raw = torch.randint(0, 2 if dtype is torch.bool else 256, (torch.Size(shape).numel() * 16,), dtype=torch.uint8,
                        generator=generator)  # fmt: skip
    flat = raw.view(dtype)[: torch.Size(shape).numel()]  # every bit pattern, NaNs included
    tensor = flat.reshape([shape[k] for k in order]).permute([order.index(k) for k in range(len(order))])
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 and draw(st.booleans()) else tensor


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@given(st.lists(dense_tensors(), max_size=4))
@settings(max_examples=150, deadline=None)
def test_tensors_of_every_dtype_and_order_come_back_bit_equal(tensors: list[Tensor]) -> None:
    named = {f"t.{k}": tensor for k, tensor in enumerate(tensors)}
    message, payload = tensors_message(Infer, named, scalars={})
    server = server_in(State.READY)
    server.payload_limit = 2**20
    (event,) = server.receive(frame(message, join(list(payload))))
    assert isinstance(event, Received)
    assert isinstance(event.message, Infer)
    back = unpack(event.message.tensors, event.payload)
    assert list(back) == list(named)
    for name, tensor in named.items():
        assert back[name].dtype is tensor.dtype
        assert back[name].shape == tensor.shape
        assert bits(back[name]) == bits(tensor)
        assert back[name].numel() == 0 or back[name].stride() == tensor.stride()
        assert back[name].data_ptr() % 64 == 0 or back[name].numel() == 0


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_each_dtype_has_its_bytes(name: str) -> None:
    assert DTYPES[name].itemsize == DTYPE_BYTES[name]


def test_views_that_are_not_dense_are_copied() -> None:
    base = torch.arange(48.0).reshape(6, 8)
    for tensor in (base[:, ::2], base[1:, 2:], base[0].expand(3, 8), torch.view_as_complex(torch.randn(4, 2)).conj(),
                   base[2:]):  # fmt: skip
        headers, payload = pack({"a": tensor})
        back = unpack(headers, memoryview(bytearray(join(list(payload)))))["a"]
        assert torch.equal(back, tensor.resolve_conj())


def test_a_dense_tensor_is_sent_from_its_own_memory() -> None:
    tensor = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    headers, (part,) = pack({"a": tensor})
    tensor[1, 2, 3, 3] = 1.0
    assert unpack(headers, part)["a"][1, 2, 3, 3] == 1.0


def test_a_received_tensor_can_be_written_in_place() -> None:
    message, payload = tensors_message(Infer, {"a": -torch.ones(1000)}, scalars={})
    (event,) = server_in(State.READY).receive(frame(message, join(list(payload))))
    assert isinstance(event, Received)
    assert isinstance(event.message, Infer)
    assert unpack(event.message.tensors, event.payload)["a"].relu_().sum() == 0


def test_tensors_are_aligned_and_nothing_follows_the_last() -> None:
    headers, payload = pack({"a": torch.zeros(3), "b": torch.zeros(0), "c": torch.tensor(1.0), "d": torch.zeros(17)})
    assert (headers.begins, headers.payload_bytes) == ((0, 64, 64, 128), 128 + 17 * 4)
    assert sum(part.nbytes for part in payload) == 128 + 17 * 4


def test_a_dtype_without_a_name_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError, match="cannot be sent"):
        pack({"a": torch.zeros(2, dtype=torch.float8_e5m2)})


def test_fault_18_a_tensor_larger_than_what_is_carried_is_named_with_its_bytes_and_the_limit() -> None:
    with pytest.raises(LocalProtocolError, match=r"tensor 'x' has 1073741828 bytes; at most 1073741824 can be sent$"):
        describe("x", torch.empty(2**28 + 1, device="meta"))


def test_an_encoded_tensor_takes_its_own_place_in_the_payload() -> None:
    tensors = {"a": torch.randn(1, 3, 20, 20), "b": torch.arange(5), "c": torch.randn(1, 2, 30, 10).transpose(2, 3)}
    headers, payload = pack(tensors, codecs.get("int8"))
    assert [header.encoded_bytes for header in headers] == [3 * 408, None, 2 * 308]
    assert (headers.begins, headers.payload_bytes) == ((0, 1280, 1344), 1344 + 616)
    message = Infer(id=3, tensors=headers, scalars={})
    (event,) = server_in(State.READY).receive(frame(message, join(list(payload))))
    assert isinstance(event, Received)
    assert event.message == message
    back = unpack(headers, event.payload, codecs.get("int8"))
    assert torch.equal(back["b"], tensors["b"])
    for name in "ac":
        assert back[name].shape == tensors[name].shape
        assert float((back[name] - tensors[name]).abs().max()) < 0.02
    with pytest.raises(CodecError, match="tensor 'a' comes encoded, and tensors travel as they are here"):
        unpack(headers, event.payload)
    with pytest.raises(CodecError, match="tensor 'a': 1224 bytes are not the length of float32"):
        unpack(headers, event.payload, codecs.get("fp16"))


@pytest.mark.parametrize("encoded_bytes", [0, 4800, 4801, 2**40])
def test_an_encoded_tensor_is_shorter_than_it_would_be(encoded_bytes: int) -> None:
    """So no limit needs to know of codecs."""
    with pytest.raises(ValidationError, match="encoded_bytes"):
        TensorHeader(name="a", dtype="float32", shape=(1200,), strides=(1,), encoded_bytes=encoded_bytes)


def test_outputs_are_not_encoded_and_headers_say_nothing_of_codecs_where_there_is_none() -> None:
    headers, _ = pack({"output": torch.randn(1, 1000)}, codecs.get("int8"))
    with pytest.raises(ValidationError, match="outputs travel as they are"):
        Result(id=1, tensors=headers, t_server_s=0.0)
    plain, _ = pack({"output": torch.randn(1, 1000)})
    assert "encoded_bytes" not in Infer(id=1, tensors=plain, scalars={}).model_dump_json()


def test_what_is_only_relayed_is_not_decoded() -> None:
    """Bytes that mean nothing pass a place that does not read them, and are refused where they are read."""
    used = codecs.get("int8")
    headers, parts = pack({"a": torch.ones(4, 4), "b": torch.ones(8)}, used)
    payload = memoryview(bytearray(b"\xff" * sum(part.nbytes for part in parts)))
    tensors, encoded = unpack_read(headers, payload, used, [])
    assert all(tensor.is_meta for tensor in tensors.values())
    assert pack(tensors, used, encoded)[0] == headers
    assert b"".join(pack({"a": tensors["a"]}, used, encoded)[1]) == bytes(payload[: headers[0].sent_bytes])
    with pytest.raises(CodecError, match="tensor 'b'"):
        unpack_read(headers, payload, used, ["b"])
