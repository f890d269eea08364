"""The server against strangers: hostile bytes, refused requests, limits, signals. Real processes where it matters."""

from __future__ import annotations

import random
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import torch

from lmos_opt.plan import Plan
from lmos_opt.profile import NetworkSource, TensorSpec
from runner.client.remote import opening as open_request
from runner.errors import ConnectionLost, PeerError, PeerTooSlow, RunnerError
from runner.faults.limits import Limits
from runner.faults.refusal import Refusal
from runner.parts.network import example_input
from runner.parts.part import Crossing
from runner.parts.split import split_module
from runner.places import tail as tail_module
from runner.places.tail import Networks
from runner.wire.connecting import connect, listen
from runner.wire.protocol import (
    Bye,
    Closed,
    Connection,
    Error,
    Hello,
    Infer,
    Message,
    Open,
    Ping,
    Pong,
    Ready,
    Result,
    Role,
    Welcome,
)
from runner.wire.protocol.frames import FrameType, encode_prefix
from runner.wire.tensors import pack
from runner.wire.timeouts import Timeouts
from runner.wire.tls import stream_over
from runner.wire.transport import Channel
from tests.runner.asking import AskingClient, expect
from tests.runner.running import BRANCHED, SLOW, Plans, ServerProcess, network_of, server_process, thread_server, whole

SHORT = Timeouts(connect_s=10, ready_s=30, result_s=30)
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def opening(plan: Plan, **changes: object) -> Open:
    asked = open_request(plan, network_of(plan))
    return Open.model_validate({**asked.model_dump(), **changes})


def greeted(address: tuple[str, int]) -> Channel:
    channel = Channel(stream_over(connect(address, 10)), Connection(Role.EDGE))
    channel.send(Hello(software="a test"))
    assert isinstance(expect(channel, 10).message, Welcome)
    return channel


def answer_to(address: tuple[str, int], *messages: tuple[Message, list[memoryview]]) -> Message:
    """The answer to the last of some messages, in a conversation of their own."""
    channel = greeted(address)
    try:
        for message, payload in messages:
            channel.send(message, payload)
            event = expect(channel, 30)
            if isinstance(event.message, Ready):
                channel.connection.payload_limit = event.message.result_bytes
        return event.message
    finally:
        channel.close()


def is_served(address: tuple[str, int], plan: Plan) -> bool:
    """Whether an honest edge gets the whole network's output, bit for bit."""
    image = torch.randn(network_of(plan).input.shape, generator=torch.Generator().manual_seed(1))
    module = whole(plan)
    head, _ = split_module(module, plan.edge_layers, image)
    with torch.inference_mode(), AskingClient(address, None, SHORT) as remote:
        remote.open(plan, network_of(plan))
        remote.wait_until_ready()
        return torch.equal(remote.infer(1, head(image)).outputs["output"], module(image))


def hostile_strings(plan: Plan, count: int) -> list[bytes]:
    """Random, truncated and oversized byte strings; half of them begin as a real conversation does."""
    rng = random.Random(11)
    hello = b"".join(bytes(part) for part in Connection(Role.EDGE).send(Hello(software="x")))
    open_header = opening(plan).model_dump_json().encode()
    open_frame = encode_prefix(FrameType.OPEN, open_header, 0) + open_header
    huge = [encode_prefix(kind, b"x" * rng.choice([10, 10**5]), length)
            for kind in FrameType for length in (0, 10**6, 2**40, 2**64 - 1)]  # fmt: skip
    found = []
    for k in range(count):
        kind, begin = k % 5, hello if k % 2 else b""
        if kind == 0:
            found.append(begin + rng.randbytes(rng.randrange(1, 5000)))
        elif kind == 1:
            found.append(begin + open_frame[: rng.randrange(1, len(open_frame))])
        elif kind == 2:
            found.append(begin + rng.choice(huge) + rng.randbytes(rng.choice([0, 100, 200_000])))
        elif kind == 3:
            mutated = bytearray(open_frame)
            for _ in range(rng.randrange(1, 5)):
                mutated[rng.randrange(len(mutated))] = rng.randrange(256)
            found.append(begin + bytes(mutated))
        else:
            found.append(begin + encode_prefix(FrameType.OPEN, b"[" * 10**6, 0) + b"[" * 10**6)
    return found


def test_hostile_bytes_leave_the_server_serving_and_small(server: ServerProcess, plans: Plans) -> None:
    assert is_served(server.address, plans(3))
    before = server.resident_bytes()
    for data in hostile_strings(plans(3), 300):
        with socket.create_connection(server.address, 10) as peer:
            try:
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(10)
                while peer.recv(65536):
                    pass
            except OSError:
                pass  # the server hung up: its right
    assert server.resident_bytes() - before < 100e6
    assert is_served(server.address, plans(3))
    assert server.resident_bytes() - before < 100e6


def test_hostile_bytes_inside_an_open_session(server: ServerProcess, plans: Plans) -> None:
    rng = random.Random(5)
    before = server.resident_bytes()
    plan = plans(3)
    head, _ = split_module(whole(plan), plan.edge_layers, example_input(network_of(plan).input))
    headers, payload = pack(head(example_input(network_of(plan).input)))
    honest = Infer(id=1, tensors=headers, scalars={}).model_dump_json().encode()
    for k in range(30):
        channel = greeted(server.address)
        channel.send(opening(plan))
        assert isinstance(expect(channel, 30).message, Ready)
        header = bytearray(honest)
        if k % 3:
            header[rng.randrange(len(header))] = rng.randrange(256)
        length = sum(part.nbytes for part in payload) if k % 3 != 1 else rng.choice([0, 10**9, 2**63])
        channel._stream._socket.sendall(encode_prefix(FrameType.INFER, bytes(header), length) + header + rng.randbytes(200))
        channel._stream._socket.shutdown(socket.SHUT_WR)
        channel._stream._socket.settimeout(10)
        try:
            while channel._stream._socket.recv(65536):
                pass
        except OSError:
            pass
        channel.close()
    assert is_served(server.address, plan)
    assert server.resident_bytes() - before < 100e6


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"edge_layers": ("nothing",)}, "split", "nothing"),
        ({"edge_layers": ("last",)}, "split", "input"),
        ({"input": TensorSpec(shape=(1, 3, 9, 8), dtype="float32")}, "refused", r"shape"),
        ({"input": TensorSpec(shape=(1, 3, 8000, 8000), dtype="float32")}, "refused", "not taken"),
        ({"input": TensorSpec(shape=(0, 3, 8, 8), dtype="float32")}, "refused", "not taken"),
        ({"input": TensorSpec(shape=(1, 3, 8, 8), dtype="int64")}, "refused", "RuntimeError|fails on"),
    ],
)  # fmt: skip
def test_a_plan_that_does_not_fit_is_refused(
    server: ServerProcess, plans: Plans, changes: dict[str, object], code: str, named: str
) -> None:
    answer = answer_to(server.address, (opening(plans(3), **changes), []))
    assert isinstance(answer, Error)
    assert answer.code == code
    assert re.search(named, answer.message), answer.message
    assert is_served(server.address, plans(3))


@pytest.mark.parametrize(
    ("source", "code", "named"),
    [
        ({"builder": "os:getcwd"}, "refused", "--network os:getcwd"),
        ({"builder": "runner_networks:unlisted"}, "refused", "--network"),
        ({"builder": "torchvision:no_such_net"}, "refused", "no torchvision model"),
        ({"builder": "torchvision:__class__"}, "refused", "no torchvision model"),
        ({"weights": "seeded:1"}, "digest", "not the plan's network"),
        ({"weights": "bundled:../../etc/passwd"}, "refused", "not taken here"),
        ({"weights": "file:/etc/passwd"}, "refused", "lmos serve --weights FILE"),
        ({"weights": "http://example.org/weights"}, "refused", "not taken here"),
        ({"weights": "bundled:squeezenet1_1"}, "refused", "does not fit"),
        ({"digest": "sha256:" + "0" * 64}, "digest", "the plan's sha256:000000000000"),
    ],
)
def test_a_network_that_is_not_the_plans_is_refused(
    server: ServerProcess, plans: Plans, source: dict[str, str], code: str, named: str
) -> None:
    changed = NetworkSource(**{**opening(plans(3)).network.model_dump(), **source})
    answer = answer_to(server.address, (opening(plans(3), network=changed), []))
    assert isinstance(answer, Error)
    assert answer.code == code
    assert named in answer.message
    assert "Traceback" not in server.log.read_text()


def test_tensors_that_are_not_those_of_the_cut_are_refused(server: ServerProcess, plans: Plans) -> None:
    plan = plans(0)
    for tensors, scalars in (
        ({"input": torch.zeros(1, 3, 4, 16)}, {}), ({"other": torch.zeros(1, 3, 8, 8)}, {}), ({}, {}),
        ({"input": torch.zeros(1, 3, 8, 8).int()}, {}), ({"input": torch.zeros(1, 3, 8, 8)}, {"size": 10**12}),
    ):  # fmt: skip
        headers, payload = pack(tensors)
        answer = answer_to(server.address, (opening(plan), []),
                           (Infer(id=1, tensors=headers, scalars=scalars), payload))  # fmt: skip
        assert isinstance(answer, Error)
        assert answer.code == "tensors"


def test_a_result_comes_for_every_image_of_a_session(server: ServerProcess, plans: Plans) -> None:
    plan = plans(0)
    headers, payload = pack({"input": torch.ones(1, 3, 8, 8)})
    channel = greeted(server.address)
    channel.send(opening(plan))
    ready = expect(channel, 30).message
    assert isinstance(ready, Ready)
    channel.connection.payload_limit = ready.result_bytes
    results = set()
    for k in range(50):
        channel.send(Infer(id=k, tensors=headers, scalars={}), payload)
        event = expect(channel, 30)
        assert isinstance(event.message, Result)
        results.add(bytes(event.payload))
    channel.send(Bye())
    channel.close()
    assert len(results) == 1


def test_several_edges_at_once_get_each_their_own(server: ServerProcess, plans: Plans) -> None:
    served: list[bool] = []
    modules = [(plans(cut), *split_module(whole(plans(cut)), plans(cut).edge_layers, torch.zeros(1, 3, 8, 8)))
               for cut in (0, 2, 4, 5)]  # fmt: skip
    image = torch.randn(1, 3, 8, 8)
    expected = whole(plans(0))(image)

    def talk(plan: Plan, head: torch.nn.Module) -> None:
        with torch.inference_mode(), AskingClient(server.address, None, SHORT) as remote:
            remote.open(plan, network_of(plan))
            remote.wait_until_ready()
            outputs = [remote.infer(k, head(image)).outputs["output"] for k in range(20)]
        served.append(all(torch.equal(output, expected) for output in outputs))

    talkers = [threading.Thread(target=talk, args=(plan, head)) for plan, head, _ in modules]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join(60)
    assert served == [True] * 4


def test_weights_of_a_file_are_found_by_their_digest(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.pt", tmp_path / "other.pt"
    module = whole(Plans(BRANCHED, "seeded:7")(0))
    torch.save(module.state_dict(), ours)
    torch.save(whole(Plans(BRANCHED, "seeded:8")(0)).state_dict(), other)
    plan = Plans(BRANCHED, f"file:{ours}")(0)
    asked = opening(plan, network=network_of(plan).model_copy(update={"weights": "file:/nowhere/else.pt"}).model_dump(
        include={"builder", "weights", "digest"}))  # fmt: skip
    assert Networks([BRANCHED], [other, ours]).open(asked).request_bytes == 768
    with pytest.raises(Refusal, match="not the plan's network") as refused:
        Networks([BRANCHED], [other]).open(asked)
    assert refused.value.code == "digest"
    with pytest.raises(Refusal, match="lmos serve --weights FILE"):
        Networks([BRANCHED]).open(asked)


def test_only_a_few_networks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    real = tail_module.build
    monkeypatch.setattr(tail_module, "build", lambda b, w, n: built.append(w) or real(b, w, n))  # type: ignore[func-returns-value]
    networks = Networks([BRANCHED])
    asked = {seed: opening(Plans(BRANCHED, f"seeded:{seed}")(1)) for seed in range(3)}
    for seed in (0, 0, 1, 0, 2, 0, 1):
        networks.open(asked[seed])
    assert built == ["seeded:0", "seeded:1", "seeded:2", "seeded:1"]


def test_a_network_that_is_not_the_plans_is_not_kept(plans: Plans) -> None:
    networks = Networks([BRANCHED])
    with pytest.raises(Refusal):
        networks.open(opening(plans(1), network=opening(plans(1)).network.model_copy(update={"weights": "seeded:5"})))
    assert not networks._cache


def test_too_many_peers_are_told_so(plans: Plans) -> None:
    with thread_server(limits=Limits(connections=2)) as address:
        held = [greeted(address) for _ in range(2)]
        with pytest.raises(PeerError, match="2 peers are being served") as refused, AskingClient(address, None, SHORT) as third:
            third.open(plans(0), network_of(plans(0)))
        assert refused.value.code == "busy"
        for channel in held:
            channel.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                assert is_served(address, plans(0))
                break
            except PeerError:
                time.sleep(0.02)  # the server has not noticed yet
        else:
            pytest.fail("the places were not given free")


def test_an_edge_that_comes_back_takes_its_place_again(plans: Plans) -> None:
    """Connections that went dark would hold every place until they had been silent for long enough."""
    asked = opening(plans(3))
    with thread_server(limits=Limits(connections=2)) as address:
        dark: list[Channel] = []
        for _ in range(6):
            end = time.monotonic() + 20
            while True:  # the one before last may still be on its way out
                channel = Channel(stream_over(connect(address, 10)), Connection(Role.EDGE))
                channel.send(Hello(software="a test"))
                if isinstance(expect(channel, 10).message, Welcome):
                    break
                assert time.monotonic() < end
                channel.close()
            channel.send(asked)
            assert isinstance(expect(channel, 30).message, Ready)
            dark.append(channel)
        for channel in dark[:-1]:
            assert channel.receive(10) == Closed()
        dark[-1].send(Ping(id=1))
        assert isinstance(expect(dark[-1], 10).message, Pong)
        for channel in dark:
            channel.close()


@pytest.mark.parametrize("is_admitted", [True, False])
def test_where_no_thread_can_be_had_a_peer_is_told_or_let_go_and_the_server_goes_on(
    plans: Plans, monkeypatch: pytest.MonkeyPatch, is_admitted: bool
) -> None:
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.endswith(" computing") or (not is_admitted and self.name.startswith("127.0.0.1:")):
            raise RuntimeError("can't start new thread")
        start(self)

    with thread_server() as address:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            channel = Channel(stream_over(connect(address, 10)), Connection(Role.EDGE))
            channel.send(Hello(software="a test"))
            if is_admitted:
                expect(channel, 10)
                channel.send(opening(plans(2)))
                refusal = expect(channel, 10).message
                assert isinstance(refusal, Error)
                assert (refusal.code, refusal.message.partition(":")[0]) == ("busy", "no thread can be started")
            else:
                with pytest.raises(ConnectionLost):
                    expect(channel, 10)
            channel.close()
        assert is_served(address, plans(2))


def test_a_reused_id_is_refused_by_name(server: ServerProcess, plans: Plans) -> None:
    """Another image under an id that has its answer is no resend."""
    plan, image = plans(0), torch.zeros(1, 3, 8, 8)
    (headers, payload), (_, other) = (pack(Crossing({"input": one})) for one in (image, image + 1))
    first = (Infer(id=1, tensors=headers, scalars={}), payload)
    again = answer_to(server.address, (opening(plan), []), first, first)
    assert isinstance(again, Result)
    refusal = answer_to(server.address, (opening(plan), []), first, (first[0], other))
    assert isinstance(refusal, Error)
    assert (refusal.code, refusal.id) == ("tensors", 1)
    assert "the id 1 belongs to another image of this session" in refusal.message


def test_peers_that_say_nothing_are_sent_away() -> None:
    with thread_server((), Limits(greeting_s=0.1)) as address:
        silent = Channel(stream_over(connect(address, 10)), Connection(Role.EDGE))
        event = expect(silent, 10)
        assert isinstance(event.message, Error)
        assert event.message.code == "idle"
        silent.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a fault of ours is to be seen in logs
def test_an_edge_does_not_wait_for_an_answer_whose_computing_failed_in_a_way_nobody_thought_of(
    plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("runner.places.answers.Responder.claim", fails)
    image = torch.rand(1, 3, 8, 8)
    with thread_server() as address, AskingClient(address, None, SHORT) as remote:
        remote.open(plans(0), network_of(plans(0)))
        remote.wait_until_ready()
        with pytest.raises(ConnectionLost) as lost:
            remote.infer(1, Crossing({"input": image}))
        assert not isinstance(lost.value, PeerTooSlow)


def test_an_open_session_that_falls_silent_is_ended(plans: Plans) -> None:
    with thread_server(limits=Limits(idle_s=0.2)) as address:
        channel = greeted(address)
        channel.send(opening(plans(0)))
        assert isinstance(expect(channel, 30).message, Ready)
        event = expect(channel, 10)
        assert isinstance(event.message, Error)
        assert event.message.code == "idle"
        channel.close()


def test_connections_that_only_knock_are_no_event(server: ServerProcess, plans: Plans) -> None:
    before = server.log.read_text()
    for _ in range(10):  # fewer than the peers it serves at once
        socket.create_connection(server.address, 5).close()
    time.sleep(0.1)
    assert server.log.read_text() == before
    assert is_served(server.address, plans(0))


@pytest.mark.process
def test_sigterm_ends_the_server_cleanly_in_the_middle_of_a_computation(tmp_path: Path) -> None:
    plan = Plans(SLOW, shape=(1, 1, 1024, 1024))(0)
    with server_process(tmp_path / "log") as server:
        idle, channel = greeted(server.address), greeted(server.address)
        channel.send(opening(plan))
        assert isinstance(expect(channel, 60).message, Ready)
        headers, payload = pack({"input": torch.ones(1, 1, 1024, 1024)})
        channel.send(Infer(id=1, tensors=headers, scalars={}), payload)
        time.sleep(0.05)
        assert server.stop(signal.SIGTERM) == 0
        log = server.log.read_text()
        assert "Traceback" not in log
        assert log.rstrip().endswith("stopped")
        channel.close()
        idle.close()


@pytest.mark.process
def test_sigint_ends_the_server_cleanly_while_peers_are_silent(tmp_path: Path) -> None:
    with server_process(tmp_path / "log") as server:
        idle = greeted(server.address)
        assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.log.read_text()
        idle.close()


def test_a_port_in_use_is_one_clear_line(server: ServerProcess) -> None:
    with pytest.raises(RunnerError, match="cannot listen there"):
        listen(*server.address)


def test_the_payload_of_a_crossing_is_all_that_is_taken(plans: Plans) -> None:
    tail = Networks([BRANCHED]).open(opening(plans(0)))
    assert tail.request_bytes == 4 * 3 * 64
    assert tail.result_bytes == 40
    image = torch.randn(1, 3, 8, 8)
    headers, payload = pack(Crossing({"input": image}))
    joined = memoryview(bytearray(b"".join(bytes(part) for part in payload)))
    _, parts, took, *_ = tail.begin(Infer(id=1, tensors=headers, scalars={}), joined)()
    with torch.inference_mode():
        assert b"".join(bytes(p) for p in parts) == whole(plans(0))(image).numpy().tobytes()
    assert took.t_server_s > took.t_decode_s == 0
