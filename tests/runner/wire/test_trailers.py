"""Long payloads whose checksum follows them: taken while they are sent, and only by who said that it knows trailers."""

from __future__ import annotations

import struct
import threading
import zlib
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import RemoteProtocolError, StreamCut
from runner.wire.certs import make_certificates
from runner.wire.connecting import connect, listen
from runner.wire.outbox import TOGETHER_BYTES, Outbox
from runner.wire.protocol import Connection, Hello, Infer, Received, Role, State, Welcome, side
from runner.wire.protocol.frames import PREFIX_BYTES, FrameType, encode_prefix
from runner.wire.protocol.messages import CAPABILITIES
from runner.wire.shaping import Pacer, Shape
from runner.wire.tensors import pack, unpack
from runner.wire.tls import Tls, edge_tls, server_tls, stream_over
from runner.wire.transport import Channel
from tests.runner.asking import expect

TENSORS = {"a": torch.arange(-30.0, 30.0).reshape(3, 20), "none": torch.empty(0), "b": torch.arange(41, dtype=torch.uint8)}
PAYLOAD_BYTES = 256 + 41


def greeted(edge_can: tuple[str, ...] = CAPABILITIES, server_can: tuple[str, ...] = CAPABILITIES) -> tuple[Connection, Connection]:
    """Both sides of a conversation, after HELLO and WELCOME, as if a plan were open."""
    edge, server = Connection(Role.EDGE), Connection(Role.SERVER)
    server.receive(joined(edge.send(Hello(software="edge", capabilities=edge_can))))
    edge.receive(joined(server.send(Welcome(software="server", capabilities=server_can, window=1, idle_s=9.0))))
    for one in (edge, server):
        one.state, one.payload_limit = State.READY, 10**8
    return edge, server


def joined(parts: object) -> bytes:
    return b"".join(parts)  # type: ignore[arg-type]


def question(tensors: dict[str, torch.Tensor] = TENSORS) -> tuple[Infer, list[memoryview]]:
    headers, payload = pack(tensors)
    return Infer(id=7, tensors=headers, scalars={}), payload


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "TRAILED_PIECE_BYTES", 100)


@pytest.mark.usefixtures("short_pieces")
def test_a_long_payload_is_followed_by_its_checksum() -> None:
    edge, _ = greeted()
    message, payload = question()
    data, sent = joined(edge.send(message, payload)), joined(payload)
    assert len(sent) == PAYLOAD_BYTES
    flags, header_bytes, payload_bytes, _, crc = struct.unpack_from("<HIQII", data, 6)
    assert (flags, payload_bytes, crc) == (1, PAYLOAD_BYTES, 0)
    assert data[PREFIX_BYTES + header_bytes :] == sent + struct.pack("<I", zlib.crc32(sent))


@pytest.mark.parametrize("side_without", ["edge", "server"])
@pytest.mark.usefixtures("short_pieces")
def test_who_does_not_name_trailers_gets_none(side_without: str) -> None:
    without = tuple(name for name in CAPABILITIES if name != side.TRAILER)
    edge, server = greeted(**{f"{side_without}_can": without})
    message, payload = question()
    data = joined(edge.send(message, payload))
    assert struct.unpack_from("<H", data, 6) == (1 if side_without == "edge" else 0,)
    (event,) = server.receive(data)
    assert isinstance(event, Received)
    assert torch.equal(unpack(message.tensors, event.payload)["b"], TENSORS["b"])


@pytest.mark.usefixtures("short_pieces")
def test_a_payload_has_the_same_seal_with_and_without_a_trailer() -> None:
    seals = []
    for can in (CAPABILITIES, ()):
        edge, server = greeted(server_can=can)
        (event,) = server.receive(joined(edge.send(*question())))
        assert isinstance(event, Received)
        seals.append(event.seal)
    assert seals[0] == seals[1]  # an edge may ask again over another connection, and is answered once


@pytest.mark.usefixtures("short_pieces")
def test_the_checksum_of_a_piece_is_taken_after_the_piece_is_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    edge, _ = greeted()
    message, payload = question()
    done: list[object] = []
    monkeypatch.setattr(side, "crc32", lambda data, crc=0: done.append(len(data)) or zlib.crc32(data, crc))
    for part in edge.send(message, payload):
        done.append(bytes(part[:1]) if len(part) > 4 else "trailer")
    sent = joined(payload)
    begins = [0, 100, 200, 240, 256]  # tensors of 240 and 41 bytes, 16 bytes between them
    pieces = [(sent[a:b][:1], b - a) for a, b in pairwise([*begins, PAYLOAD_BYTES])]
    assert done == [b"L", *(thing for piece in pieces for thing in piece), "trailer"]


@given(st.lists(st.integers(1, 600), max_size=12), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_split_into_chunks_gives_the_same_event(cuts: list[int], in_place: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side, "TRAILED_PIECE_BYTES", 100)
        edge, server = greeted()
        data = joined(edge.send(*question()))
    chunks = [data[a:b] for a, b in pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))}))]
    events: list[object] = []
    for chunk in chunks:
        rest = memoryview(chunk)
        while in_place and rest:
            n = min(len(rest), len(server.buffer()))
            server.buffer()[:n], rest = rest[:n], rest[n:]
            events += [event for event in [server.received(n)] if event is not None]
        events += server.receive(bytes(rest))
    (event,) = events
    assert isinstance(event, Received)
    found = unpack(event.message.tensors, event.payload)  # type: ignore[union-attr]
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


@pytest.mark.usefixtures("short_pieces")
def test_one_changed_byte_anywhere_and_a_cut_anywhere_are_noticed() -> None:
    data = joined(greeted()[0].send(*question()))
    for where in range(len(data)):
        damaged = bytearray(data)
        damaged[where] ^= 0x10
        with pytest.raises(RemoteProtocolError, match=r"damaged|is no lmos (edge|server)|speaks version"):
            greeted()[1].receive(bytes(damaged))
    for end in range(1, len(data)):
        server = greeted()[1]
        assert server.receive(data[:end]) == []
        server.buffer()
        with pytest.raises(StreamCut):
            server.received(0)


@pytest.mark.parametrize(("flags", "payload_bytes", "crc"), [(2, 8, 0), (3, 8, 0), (256, 8, 0), (1, 0, 0), (1, 8, 5)])
def test_flags_that_are_unknown_or_do_not_fit_are_refused_at_the_prefix(flags: int, payload_bytes: int, crc: int) -> None:
    prefix = bytearray(encode_prefix(FrameType.INFER, b"{}", payload_bytes, crc))
    struct.pack_into("<H", prefix, 6, flags)
    struct.pack_into("<I", prefix, 28, zlib.crc32(prefix[:28]))
    with pytest.raises(RemoteProtocolError, match=f"INFER: a prefix of flags {flags:#x}"):
        greeted()[1].receive(bytes(prefix))


@pytest.mark.parametrize("over", ["socket", "tls", "link"])
def test_it_arrives_whole_over_real_sockets_by_who_waits_and_by_who_pumps(
    over: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    n = side.TRAILED_PIECE_BYTES
    tensors = {"a": torch.randn(3 * n // 8 + 17), "b": torch.randn(5), "c": torch.randn(n)}
    tls: tuple[Tls | None, Tls | None] = None, None
    if over == "tls":
        pytest.importorskip("cryptography")
        folder = tmp_path_factory.mktemp("certs")
        make_certificates(folder)
        tls = edge_tls(folder / "ca.pem").for_host("localhost"), server_tls(folder / "server.pem", folder / "server.key")
    pacer = Pacer(Shape(rate_bytes_per_s=2e8)) if over == "link" else None
    with listen("127.0.0.1", 0) as listener:
        one = connect(listener.getsockname(), 5)
        other, _ = listener.accept()
    sides = greeted()
    with one, other:
        edge = Channel(stream_over(one, tls[0]), sides[0], pacer=pacer)
        server = Channel(stream_over(other, tls[1]), sides[1], pacer=pacer)
        message, payload = question(tensors)
        sender = threading.Thread(target=lambda: edge.send(message, payload))
        sender.start()
        event = expect(server, 20)
        sender.join()
        assert isinstance(event, Received)
        found = unpack(message.tensors, event.payload)
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
        assert edge.newly_moved()[0] == server.newly_moved()[1]
        assert not edge.is_sending


def test_an_outbox_gives_small_buffers_together_and_asks_for_long_ones_as_they_leave() -> None:
    asked: list[int] = []

    def long() -> object:
        for k in range(3):
            asked.append(k)
            yield memoryview(bytes([k]) * TOGETHER_BYTES)

    box = Outbox()
    assert not box
    assert box.first() == []
    box.put([b"ab", memoryview(b""), memoryview(b"cd")])
    box.put(long())  # type: ignore[arg-type]
    assert box
    assert [bytes(part[:2]) for part in box.first()] == [b"ab", b"cd", b"\0\0"]
    box.sent(3)
    assert [bytes(part[:2]) for part in box.first()] == [b"d", b"\0\0"]
    assert asked == [0]
    box.sent(1 + TOGETHER_BYTES)
    assert box
    assert asked == [0]
    for k in (1, 2):
        (part,) = box.first()
        assert bytes(part) == bytes([k]) * TOGETHER_BYTES
        box.sent(TOGETHER_BYTES)
    assert box.first() == []
    assert not box
