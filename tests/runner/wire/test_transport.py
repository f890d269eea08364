"""Channels over real sockets: whole messages, deadlines, peers that vanish."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from lmos_opt.errors import InputError
from runner.errors import ConnectionLost, RemoteProtocolError, RunnerError
from runner.wire import stream as stream_module
from runner.wire import transport
from runner.wire.connecting import Dialer, connect, format_address, listen, parse_address
from runner.wire.protocol import Closed, Connection, Error, Hello, Infer, Ping, Pong, Received, Role, State
from runner.wire.shaping import Pacer, Shape
from runner.wire.stream import Wake
from runner.wire.tensors import pack, unpack
from runner.wire.tls import stream_over
from runner.wire.transport import Channel
from tests.runner.asking import expect

HELLO = Hello(software="lmos test")


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with listen("127.0.0.1", 0) as listener:
        edge = connect(listener.getsockname(), 5)
        server, _ = listener.accept()
    with edge, server:
        yield edge, server


def channels(sockets: tuple[socket.socket, socket.socket], pacer: Pacer | None = None) -> tuple[Channel, Channel]:
    edge = Channel(stream_over(sockets[0]), Connection(Role.EDGE), pacer=pacer)
    server = Channel(stream_over(sockets[1]), Connection(Role.SERVER))
    edge.connection.state = server.connection.state = State.READY
    server.connection.payload_limit = 10**8
    return edge, server


def infer(tensors: dict[str, torch.Tensor]) -> tuple[Infer, list[memoryview]]:
    headers, payload = pack(tensors)
    return Infer(id=0, tensors=headers, scalars={}), payload


def test_a_message_of_many_tensors_arrives_whole(sockets: tuple[socket.socket, socket.socket]) -> None:
    edge, server = channels(sockets)
    tensors = {f"t{k}": torch.randn(k * 13) for k in range(300)} | {"large": torch.randn(10**6)}
    sender = threading.Thread(target=lambda: edge.send(*infer(tensors)))
    sender.start()
    event = expect(server, 5)
    sender.join()
    assert isinstance(event, Received)
    assert isinstance(event.message, Infer)
    back = unpack(event.message.tensors, event.payload)
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_small_messages_that_come_together_are_read_at_once_and_each_is_an_event(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    edge, server = channels(sockets)
    edge.connection.window = server.connection.window = 40
    reads: list[int] = []
    recv_into = server._stream.recv_into
    server._stream.recv_into = lambda space: reads.append(recv_into(space)) or reads[-1]  # type: ignore[method-assign]
    for number in range(40):
        message, payload = infer({"a": torch.full((16,), float(number))})
        edge.send(message.model_copy(update={"id": number}), payload)
    time.sleep(0.1)
    events = [expect(server, 5) for _ in range(40)]
    assert [float(unpack(event.message.tensors, event.payload)["a"][3]) for event in events] == list(range(40))
    assert len(reads) <= 3 * sum(reads) // transport.AHEAD_BYTES + 3


def test_a_long_payload_is_read_in_pieces_that_a_cache_holds(sockets: tuple[socket.socket, socket.socket]) -> None:
    edge, server = channels(sockets)
    spaces, recv_into = [], server._stream.recv_into
    server._stream.recv_into = lambda space: spaces.append(space.nbytes) or recv_into(space)  # type: ignore[method-assign]
    sent = torch.arange(10**6)
    sender = threading.Thread(target=lambda: edge.send(*infer({"a": sent})))
    sender.start()
    event = expect(server, 5)
    sender.join()
    assert torch.equal(unpack(event.message.tensors, event.payload)["a"], sent)
    assert max(spaces) == transport.PIECE_BYTES


class Timed:
    """A stream and a clock: each waiting ends after `late_s` with the next piece of what is to come, and is noted."""

    name = "played"

    def __init__(self) -> None:
        self.time, self.late_s, self.awake_s = 0.0, 0.0, list[float]()
        self.coming: list[bytes] = []
        self.here = self.sent = b""

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, wake: Wake | None = None) -> None:
        self.time += seconds

    def sendmsg(self, parts: Sequence[memoryview]) -> int:
        self.sent = b"".join(parts)
        return len(self.sent)

    def recv_into(self, space: memoryview) -> int:
        if not self.here:
            raise BlockingIOError
        n_bytes = min(len(self.here), space.nbytes)
        space[:n_bytes], self.here = self.here[:n_bytes], self.here[n_bytes:]
        return n_bytes

    def wait(self, timeout_s: float, *, reading: bool, writing: bool, wake: Wake | None = None, awake_s: float = 0.0) -> bool:
        self.awake_s.append(awake_s)
        self.time += self.late_s
        self.here = self.coming.pop(0)
        return False

    def shut_down(self, *, writing: bool = True) -> None:
        pass

    def close(self, linger_s: float = 0.0) -> None:
        pass


def awake_for(message: Callable[..., float]) -> list[float]:
    """How long one stayed awake for messages that came at once, beside others, and late."""
    late_s = 2 * transport.AWAKE_S
    return [message(0.0), message(0.0), message(0.0, alone=False), message(late_s), message(0.0), message(late_s)]


def test_who_was_answered_at_once_stays_awake_for_the_next_answer_and_sleeps_after_a_late_one() -> None:
    stream = Timed()
    edge = Channel(stream, Connection(Role.EDGE), clock=stream)
    server = Connection(Role.SERVER)
    edge.connection.state = server.state = State.READY

    def answered(late_s: float, alone: bool = True) -> float:
        """How long it stayed awake for an answer that came so late."""
        ping = Ping(id=1)
        edge.begin(ping)
        server.receive(b"".join(edge_twin.send(ping)))
        edge_twin.receive(answer := b"".join(server.send(Pong(id=1))))
        stream.coming, stream.late_s = [answer], late_s
        while not isinstance(edge.pump(10, alone=alone), Received):
            pass
        return stream.awake_s.pop()

    edge_twin = Connection(Role.EDGE)
    edge_twin.state = State.READY
    assert awake_for(answered) == pytest.approx([0.0, transport.AWAKE_S, 0.0, transport.AWAKE_S, 0.0, transport.AWAKE_S])


def test_who_answers_stays_awake_for_the_next_question_where_the_last_one_came_at_once_and_nobody_else_asks() -> None:
    stream = Timed()
    server = Channel(stream, Connection(Role.SERVER), clock=stream)
    edge = Connection(Role.EDGE)
    server.connection.state = edge.state = State.READY

    def asked(late_s: float, alone: bool = True) -> float:
        """How long it stayed awake for a question that came so late."""
        stream.coming, stream.late_s = [b"".join(edge.send(Ping(id=1)))], late_s
        assert isinstance(server.receive(10, alone=alone), Received)
        server.send(Pong(id=1))
        edge.receive(stream.sent)
        return stream.awake_s.pop()

    assert awake_for(asked) == pytest.approx([0.0, transport.AWAKE_S, 0.0, transport.AWAKE_S, 0.0, transport.AWAKE_S])


@pytest.mark.parametrize(("late_s", "awake"), [(0.0, [False, True, True, True]), (1.0, [False, True, False, False])])
def test_a_message_whose_bytes_come_slowly_is_slept_through(late_s: float, awake: list[bool]) -> None:
    stream = Timed()
    server = Channel(stream, Connection(Role.SERVER), clock=stream)
    server.connection.state, server.connection.payload_limit = State.READY, 10**8
    sender = Connection(Role.EDGE)
    sender.state = State.READY
    for number in (1, 2):
        message, payload = infer({"a": torch.zeros(100_000)})
        sender.window = server.connection.window = 2
        data = b"".join(sender.send(message.model_copy(update={"id": number}), payload))
        stream.coming, stream.late_s = [data[k * len(data) // 4 : (k + 1) * len(data) // 4] for k in range(4)], late_s
        assert isinstance(server.receive(10), Received)
        assert [awake_s > 0 for awake_s in stream.awake_s] == awake
        stream.awake_s.clear()


def test_a_thread_that_stays_awake_sees_bytes_and_the_end_of_its_time(sockets: tuple[socket.socket, socket.socket]) -> None:
    stream = stream_over(sockets[0])
    stream.wait(0.0, reading=True, writing=False, awake_s=0.001)
    with pytest.raises(BlockingIOError):
        stream.recv_into(memoryview(bytearray(1)))
    sockets[1].sendall(b".")
    stream.wait(60, reading=True, writing=False, awake_s=60)
    assert stream.recv_into(memoryview(bytearray(2))) == 1
    wake = Wake()
    wake.set()
    assert stream.wait(60, reading=True, writing=False, wake=wake, awake_s=60)


@pytest.mark.parametrize("before", [True, False])
def test_a_wake_that_another_thread_clears_while_it_is_set_wakes_once(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    wake, stream, write = Wake(), stream_over(sockets[0]), os.eventfd_write

    def write_and_clear(file: int, value: int) -> None:
        if before:
            wake.clear()
        write(file, value)
        if not before:
            wake.clear()

    with monkeypatch.context() as patch:
        patch.setattr(stream_module.os, "eventfd_write", write_and_clear)
        wake.set()
    assert stream.wait(60, reading=True, writing=False, wake=wake)
    wake.clear()
    assert not stream.wait(0.0, reading=True, writing=False, wake=wake)


def test_a_thread_that_stays_awake_lets_others_run_each_time_before_it_looks_again(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    given_way = []

    def give_way() -> None:
        given_way.append(len(given_way))
        if len(given_way) == 3:
            sockets[1].sendall(b".")

    monkeypatch.setattr(stream_module, "_give_way", give_way)
    stream = stream_over(sockets[0])
    stream.wait(60, reading=True, writing=False, awake_s=60)
    assert given_way == [0, 1, 2]
    assert stream.recv_into(memoryview(bytearray(2))) == 1


def test_a_thread_that_shares_its_processor_sleeps_the_next_time(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns_of_others_s, given_way = [2 * stream_module.OTHERS_S], []

    def give_way() -> None:
        given_way.append(True)
        time.sleep(turns_of_others_s.pop() if turns_of_others_s else 0.0)
        sockets[1].sendall(b".")

    monkeypatch.setattr(stream_module, "_give_way", give_way)
    stream, found = stream_over(sockets[0]), []
    for timeout_s in (60, 0.002, 60):
        stream.wait(timeout_s, reading=True, writing=False, awake_s=timeout_s)
        found.append(bool(given_way))
        given_way.clear()
        if found[-1]:
            assert stream.recv_into(memoryview(bytearray(2))) == 1
    assert found == [True, False, True]


@pytest.mark.parametrize("n_bytes", [100_000, 1_000_000])
def test_a_shaped_channel_is_never_faster_than_its_rate(sockets: tuple[socket.socket, socket.socket], n_bytes: int) -> None:
    rate, delay = n_bytes / 0.3, 0.02
    edge, server = channels(sockets, Pacer(Shape(rate, delay)))
    message, payload = infer({"a": torch.zeros(n_bytes, dtype=torch.uint8)})
    begin = time.perf_counter()
    sender = threading.Thread(target=lambda: edge.send(message, payload))
    sender.start()
    assert isinstance(expect(server, 60), Received)
    assert (time.perf_counter() - begin) / (n_bytes / rate + delay) >= 0.999
    sender.join()


def test_pumping_ends_when_all_is_sent_since_the_next_message_may_wait_for_that(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    edge, server = channels(sockets)
    edge.begin(*infer({"a": torch.zeros(10**7)}))  # more than the system's buffers hold
    pumping = threading.Thread(target=edge.pump, args=(600,), daemon=True)
    pumping.start()
    assert isinstance(expect(server, 5), Received)
    pumping.join(30)
    assert not pumping.is_alive()
    assert not edge.is_sending


def test_a_silent_peer_is_given_up(sockets: tuple[socket.socket, socket.socket]) -> None:
    _, server = channels(sockets)
    with pytest.raises(ConnectionLost, match=r"sent nothing for 0\.05 s"):
        server.receive(0.05)


def test_a_peer_that_stops_inside_a_message_is_given_up(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "GRACE_S", 0.1)
    _, server = channels(sockets)
    sockets[0].sendall(b"LMOS\x02")
    with pytest.raises(ConnectionLost, match="stopped inside a message"):
        server.receive(5)


def test_a_peer_that_trickles_is_given_up(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "GRACE_S", 0.2)
    monkeypatch.setattr(transport, "LEAST_BYTES_PER_S", 100)
    _, server = channels(sockets)
    stop = threading.Event()

    def trickle() -> None:
        for byte in b"LMOS\x02\x05" + b"\0" * 100:
            if stop.wait(0.05):
                return
            sockets[0].sendall(bytes([byte]))

    sender = threading.Thread(target=trickle)
    sender.start()
    with pytest.raises(ConnectionLost, match="too slowly"):
        server.receive(5)
    stop.set()
    sender.join()


def test_a_peer_that_does_not_read_is_given_up(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "GRACE_S", 0.1)
    edge, _ = channels(sockets)
    with pytest.raises(ConnectionLost, match="stopped reading"):
        edge.send(*infer({"a": torch.zeros(10**8, dtype=torch.uint8)}))


def test_the_end_of_the_stream_is_seen(sockets: tuple[socket.socket, socket.socket]) -> None:
    edge, server = channels(sockets)
    edge.close()
    assert isinstance(server.receive(5), Closed)


def test_a_stream_that_ends_inside_a_message_is_a_lost_connection(sockets: tuple[socket.socket, socket.socket]) -> None:
    edge, server = channels(sockets)
    sockets[0].sendall(b"LMOS\x02")
    edge.close()
    with pytest.raises(ConnectionLost, match="closed the connection inside a message"):
        server.receive(5)


def test_shutting_down_wakes_who_waits(sockets: tuple[socket.socket, socket.socket]) -> None:
    _, server = channels(sockets)
    timer = threading.Timer(0.1, server.shut_down)
    timer.start()
    assert isinstance(server.receive(20), Closed)
    timer.join()


def test_last_words_survive_unread_bytes(sockets: tuple[socket.socket, socket.socket]) -> None:
    edge, server = channels(sockets)
    edge.connection.state = State.READY
    sockets[0].sendall(b"x" * 100_000)  # never read as messages
    server.send(Error.of("failed", "no"))
    closer = threading.Thread(target=lambda: server.close(linger_s=1.0))
    closer.start()
    event = expect(edge, 5)
    edge.close()
    closer.join()
    assert isinstance(event, Received)
    assert event.message == Error.of("failed", "no")


def test_another_protocol_is_the_peers_fault(sockets: tuple[socket.socket, socket.socket]) -> None:
    edge, _ = channels(sockets)
    sockets[1].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="is no lmos server: it speaks HTTP"):
        edge.receive(5)


def test_nobody_there_is_one_clear_line() -> None:
    with listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionLost, match=r"^127\.0\.0\.1:\d+: connection refused; is 'lmos serve' running"):
        connect(address, 5)


def test_an_address_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(RunnerError, match=r": address already in use$"):
        listen(*listener.getsockname())


@pytest.mark.parametrize(("text", "address"), [
    ("127.0.0.1:80", ("127.0.0.1", 80)), ("host", ("host", 7070)), ("[::1]:5", ("::1", 5)), ("[::1]", ("::1", 7070)),
    ("[fe80::1%eth0]:5", ("fe80::1%eth0", 5)),
])  # fmt: skip
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address
    assert parse_address(format_address(address)) == address


@pytest.mark.parametrize("text", ["", ":80", "host:", "host:x", "host:99999", "host:-1", "host:²", "[::1]:0:1", "::1:80",
                                  "::1", "[::1", "[host]:80", "http://host:80", "tcp:/host", "7070"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize("host", ["x" * 64, "a..b", "\udcff"])
def test_what_is_no_name_of_a_host_is_one_clear_line(host: str) -> None:
    with pytest.raises(InputError, match="is not HOST:PORT"):
        parse_address(f"{host}:7070")
    with pytest.raises(ConnectionLost, match="not the name of a host"):
        Dialer((host, 1), 1.0)
    with pytest.raises(RunnerError, match="cannot listen there: not the name of a host"):
        listen(host, 0)
