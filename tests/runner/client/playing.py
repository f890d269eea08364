"""Streams and a clock that are played: the other end of each stream is the protocol's own server side, without a socket."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmos_opt.profile import NetworkSource, TensorSpec
from runner.client.server_connection import ServerConnection
from runner.errors import Unreachable
from runner.machine import this_machine
from runner.parts.part import Crossing
from runner.watching.events import Event, Events
from runner.wire.protocol import (
    Bye,
    Connection,
    Echo,
    Hello,
    Infer,
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
    Welcome,
)
from runner.wire.stream import Wake
from runner.wire.tensors import pack, unpack
from runner.wire.timeouts import Timeouts

ADDRESS = ("192.0.2.1", 7070)
TIMEOUTS = Timeouts(connect_s=10, ready_s=300, result_s=30, heartbeat_s=2, silence_s=10)
REQUEST = Open(session="0" * 32, network=NetworkSource(builder="a:b", weights="seeded:0", digest="sha256:" + "0" * 64),
               granularity="module", input=TensorSpec(shape=(1, 4), dtype="float32"), edge_layers=(), codec="raw")  # fmt: skip
Play = Callable[["PlayedStream", Received], None]


def honest(stream: PlayedStream, event: Received) -> None:
    """A server that doubles what it is sent, and echoes probes."""
    message = event.message
    if isinstance(message, Hello):
        stream.say(Welcome(software="played", window=4, idle_s=300.0, capabilities=("probe",)))
    elif isinstance(message, Open):
        stream.server.payload_limit = 10**6
        stream.say(Ready(result_bytes=1000, machine=this_machine(1)))
    elif isinstance(message, Ping):
        stream.say(Pong(id=message.id))
    elif isinstance(message, Probe):
        stream.say(Echo(id=message.id, echo_bytes=message.echo_bytes, t_server_s=0.0), [memoryview(bytes(message.echo_bytes))])
    elif isinstance(message, Infer):
        headers, payload = pack({"output": 2 * unpack(message.tensors, event.payload)["input"]})
        stream.say(Result(id=message.id, tensors=headers, t_server_s=0.0), payload)


class PlayedStream:
    """What the edge sends goes to `play`, which may `say` something; `heard` is all that came."""

    name = "192.0.2.1:7070"

    def __init__(self, streams: PlayedStreams, play: Play) -> None:
        self.streams, self.play = streams, play
        self.server = Connection(Role.SERVER)
        self.heard: list[Message] = []
        self.fault: OSError | None = None
        self.has_ended = self.is_closed = False
        self._coming = bytearray()

    def say(self, message: Message, payload: Sequence[memoryview] = ()) -> None:
        self.send_bytes(b"".join(bytes(part) for part in self.server.send(message, payload)))

    def send_bytes(self, data: bytes) -> None:
        self._coming += data

    def recv_into(self, space: memoryview) -> int:
        if self.fault is not None:
            raise self.fault
        if not self._coming and not self.has_ended:
            raise BlockingIOError
        n_bytes = min(len(space), len(self._coming))
        space[:n_bytes] = self._coming[:n_bytes]
        del self._coming[:n_bytes]
        return n_bytes

    def sendmsg(self, parts: Sequence[memoryview]) -> int:
        if self.fault is not None:
            raise self.fault
        data = b"".join(parts)
        for event in self.server.receive(data) if self.server.state is not State.CLOSED else ():
            assert isinstance(event, Received)
            self.heard.append(event.message)
            if not isinstance(event.message, Bye):
                self.play(self, event)
        return len(data)

    def wait(self, timeout_s: float, *, reading: bool, writing: bool, wake: Wake | None = None, awake_s: float = 0.0) -> bool:
        if not self._coming and not self.has_ended and not writing:
            self.streams.time += timeout_s or 0.001
        return False

    def shut_down(self, *, writing: bool = True) -> None:
        self.has_ended = True

    def close(self, linger_s: float = 0.0) -> None:
        self.is_closed = True


@dataclass
class PlayedStreams:
    """Plays one server after another: `plays[k]` behind the k-th stream, an error in place of one where there is none."""

    plays: deque[Play | Exception]
    time: float = 1000.0
    slept_s: list[float] = field(default_factory=list)
    streams: list[PlayedStream] = field(default_factory=list)
    dialled_at: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, wake: Wake | None = None) -> None:
        if seconds > 0:
            self.slept_s.append(seconds)
            self.time += seconds

    def dial(self, address: tuple[str, int], timeout_s: float) -> Dialled:
        assert address == ADDRESS
        self.dialled_at.append(self.time)
        return Dialled(self)


@dataclass
class Dialled:
    streams: PlayedStreams

    def step(self, timeout_s: float) -> PlayedStream:
        play = self.streams.plays.popleft() if self.streams.plays else Unreachable("192.0.2.1:7070", "connection refused")
        if isinstance(play, Exception):
            raise play
        self.streams.streams.append(PlayedStream(self.streams, play))
        return self.streams.streams[-1]

    def close(self) -> None:
        pass


class Played:
    """A connection over played streams, and all that it told."""

    def __init__(self, *plays: Play | Exception, seed: int | None = 0) -> None:
        self.streams = PlayedStreams(deque(plays))
        self.told: list[Event] = []
        self.connection = ServerConnection(ADDRESS, REQUEST, None, TIMEOUTS, seed=seed, events=Events([self.told.append]),
                                           streams=self.streams)  # fmt: skip

    def answer(self, number: int, within_s: float = 30.0) -> Tensor | str | None:
        """The answer to a question, or why there is none; None where it takes longer."""
        exchange = self.connection.ask(number, question(number))
        self.connection.wait(exchange, self.streams.time + within_s)
        return exchange.answer.outputs["output"] if exchange.answer else exchange.failure


def question(number: int) -> Crossing:
    return Crossing({"input": torch.full((1, 4), float(number))})


def after(n: int, then: Play) -> Play:
    """Honest for n messages, and then something else."""
    heard = 0

    def play(stream: PlayedStream, event: Received) -> None:
        nonlocal heard
        heard += 1
        (honest if heard <= n else then)(stream, event)

    return play


def hang_up(stream: PlayedStream, event: Received) -> None:
    """Go without a word."""
    stream.shut_down()


def hang_up_inside(stream: PlayedStream, event: Received) -> None:
    """Go in the middle of a message."""
    stream.send_bytes(b"LMOS\x02")
    stream.shut_down()


def say_nothing(stream: PlayedStream, event: Received) -> None:
    """Stay, and be silent."""


def untrusted() -> ssl.SSLCertVerificationError:
    """What a handshake raises where the certificate is nobody's that is trusted."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error
