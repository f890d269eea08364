"""Mutated conversations, in memory: each ends in events or in the peer's fault, soon, and takes no memory that was not allowed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

import torch

from lmos.bench.faults.mutations import tampered
from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkSource, TensorSpec, Timing
from measurement.codec_choice import Choice
from measurement.codecs import CodecError
from runner.client.exchange import checked_answer
from runner.errors import RemoteProtocolError, RunnerError, StreamCut, one_line
from runner.machine import this_machine
from runner.memory import release, resident_bytes
from runner.parts.network import class_of
from runner.wire.agreed_codec import codec_for
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
    Result,
    Role,
    Span,
    Tensors,
    Welcome,
)
from runner.wire.protocol.checksum import crc32_of
from runner.wire.protocol.frames import encode_prefix, encode_trailer
from runner.wire.protocol.messages import LayerTime
from runner.wire.protocol.turns import LARGEST_PROBE_BYTES
from runner.wire.tensors import pack, unpack, unpack_read

MOST_CRASHES = 20
"""The run ends after so many: they will be the same few, over and over."""
PAYLOAD_BYTES = 4000
_WARM = 0.02
"""The share of inputs after which memory is measured for the first time: allocators, caches and codecs have been used by then."""
_MEASURED = 10

Said = tuple[Message, list[memoryview]]


@dataclass(frozen=True)
class Crash:
    """An input that led to something else than an event or the peer's fault: `number` makes it again."""

    number: int
    what: str


@dataclass
class Fuzzed:
    """What came of it: how many inputs, how they ended, the slowest one, and how memory grew (B)."""

    inputs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    crashes: list[Crash] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: int | None = None
    seconds: float = 0.0
    growth_bytes: int = 0


def fuzz(numbers: Iterable[int], seed: int, total: int, tell: Callable[[int], None] = lambda done: None) -> Fuzzed:
    """Play the inputs of these numbers, of `total`; the same seed and number make the same input."""
    stage, found, begin = Stage(), Fuzzed(), time.perf_counter()
    first = 0
    for number in numbers:
        if found.inputs == int(_WARM * total):
            release()
            first = resident_bytes()
        if found.inputs and found.inputs % max(total // _MEASURED, 1) == 0:
            release()
            found.growth_bytes = max(found.growth_bytes, resident_bytes() - first)
            tell(found.inputs)
        peer, stream = stage.tamper(random.Random(seed * 2**40 + number))
        start = time.perf_counter()
        try:
            end = stage.play(peer, stream)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            end = "crash"
            found.crashes.append(Crash(number, one_line(f"{type(error).__name__}: {error}", 300)))
        took = time.perf_counter() - start
        if took > found.slowest_s:
            found.slowest_s, found.slowest = took, number
        found.ends[end] += 1
        found.inputs += 1
        if len(found.crashes) >= MOST_CRASHES:
            break
    release()
    found.growth_bytes = max(found.growth_bytes, resident_bytes() - first) if first else 0
    found.seconds = time.perf_counter() - begin
    return found


class Stage:
    """Plays a tampered side of a conversation, under any of CODECS, to an honest other one."""

    def __init__(self) -> None:
        self._under = [self._of(codec) for codec in CODECS]
        self._frames = self._under[0]
        self._every = [frame for frames in self._under for frame in (*frames[Role.EDGE], *self._frames[Role.SERVER])]

    def _of(self, codec: str) -> dict[Role, list[bytes]]:
        script = _conversation(codec)
        found = {role: [_frame(message, payload) for who, message, payload in script if who is role] for role in Role}
        found[Role.SERVER].append(_frame(Error.of("failed", "the tail failed", 3), []))
        return found

    def frames(self, role: Role) -> list[bytes]:
        """What one side says, untouched."""
        return list(self._frames[role])

    def tamper(self, rng: random.Random) -> tuple[Role, bytes]:
        """Who speaks, and what it says."""
        peer = rng.choice((Role.EDGE, Role.SERVER))
        frames = rng.choice(self._under)[peer]
        kept = rng.randrange(len(frames))  # so that every state is reached
        return peer, b"".join(frames[:kept]) + tampered(rng, frames[kept:], self._every)

    def play(self, peer: Role, stream: bytes) -> str:
        """How it ended: `events` (the other side took all of it), or `refused`."""
        side = _ServerSide() if peer is Role.EDGE else _EdgeSide()
        try:
            side.take(stream)
        except (RemoteProtocolError, StreamCut, RunnerError, CodecError, InputError):
            return "refused"
        return "events"


class _Side:
    """One honest side: does with each event what the program does, as far as numbers and bytes are concerned."""

    def __init__(self, role: Role) -> None:
        self.connection = Connection(role, self._memory)

    def take(self, stream: bytes) -> None:
        rest = memoryview(stream)
        while rest:
            space = self.connection.buffer()
            n_bytes = min(len(space), len(rest))
            space[:n_bytes] = rest[:n_bytes]
            rest = rest[n_bytes:]
            self._note(self.connection.received(n_bytes))
        self._note(self.connection.received(0))

    def say(self, message: Message, payload: Iterable[memoryview] = ()) -> None:
        self.connection.send(message, list(payload))

    def _memory(self, n_bytes: int) -> memoryview:
        if n_bytes > max(self.connection.payload_limit, LARGEST_PROBE_BYTES):
            raise MemoryError(f"{n_bytes} bytes for a payload of at most {self.connection.payload_limit}")
        return memoryview(bytearray(n_bytes))

    def _note(self, event: Event | None) -> None:
        if event is None or isinstance(event, Closed):
            return
        if event.payload.nbytes != event.message.payload_bytes:
            raise ValueError(f"{event.message.TYPE.name} with a payload of {event.payload.nbytes} bytes")
        self.answer(event.message, event.payload)

    def answer(self, message: Message, payload: memoryview) -> None:
        raise NotImplementedError


class _ServerSide(_Side):
    def __init__(self) -> None:
        super().__init__(Role.SERVER)
        self.codec: Choice | None = None

    def answer(self, message: Message, payload: memoryview) -> None:
        if isinstance(message, Hello):
            self.say(_WELCOME)
        elif isinstance(message, Open):
            if message.network != _OPEN.network:
                raise RunnerError("the server", "knows no such network")
            self.codec = codec_for(message)
            self.connection.payload_limit = PAYLOAD_BYTES
            self.say(_READY)
        elif isinstance(message, Ping):
            self.say(Pong(id=message.id))
        elif isinstance(message, Probe):
            echo = Echo(id=message.id, echo_bytes=message.echo_bytes, t_server_s=0.0, t_hop_s=None if message.hop == 1 else 0.0)
            self.say(echo, [_NOTHING[: echo.payload_bytes]] if echo.payload_bytes else [])
        elif isinstance(message, Measure):
            self.say(Measured(id=message.id, layers=(), timing=Timing(), machine=_READY.machine))
        elif isinstance(message, Infer):
            found, encoded = unpack_read(message.tensors, payload, self.codec, [header.name for header in message.tensors[1::2]])
            pack(found, self.codec, encoded)  # a middle place reads some, and sends all on
            found = unpack(message.tensors, payload, self.codec)
            for header in message.tensors:
                if found[header.name].shape != header.shape:
                    raise ValueError(f"{header} came out as {found[header.name].shape}")
                found[header.name].sum()
            result, outputs = _result(message.id)
            self.say(result, outputs)


class _EdgeSide(_Side):
    def __init__(self) -> None:
        super().__init__(Role.EDGE)
        self.say(_HELLO)

    def answer(self, message: Message, payload: memoryview) -> None:
        if isinstance(message, Welcome):
            self.say(_PROBE, [_NOTHING[: _PROBE.probe_bytes]])
            self.say(_MEASURE)
            self.say(_OPEN)
            self.say(Ping(id=1))
        elif isinstance(message, Echo):
            if message.id == _PROBE.id:
                self.say(_LATER_PROBE)
        elif isinstance(message, Ready):
            self.connection.payload_limit = message.result_bytes
            for number in range(3, 3 + min(self.connection.window, 2)):
                infer, payload_of_it = _infer(number)
                self.say(infer, payload_of_it)
        elif isinstance(message, Result):
            answer = checked_answer("the server", unpack(message.tensors, payload), 1.0, message)
            class_of(answer.outputs)


_NOTHING = memoryview(bytes(LARGEST_PROBE_BYTES))
_HELLO = Hello(software="lmos", capabilities=("codec:raw", "probe"), token="a token of sixteen")
_WELCOME = Welcome(software="lmos", capabilities=("codec:raw",), window=2, idle_s=60.0)
_PROBE = Probe(id=1, probe_bytes=5, echo_bytes=3)
_LATER_PROBE = Probe(id=2, probe_bytes=0, echo_bytes=3, hop=2)
_MEASURE = Measure(id=1, network=NetworkSource(builder="torchvision:alexnet", weights="seeded:0", digest="sha256:" + "0" * 64),
                   granularity="module", input=TensorSpec(shape=(1, 3, 8, 8), dtype="float32"), budget_s=1.0)  # fmt: skip
_READY = Ready(result_bytes=PAYLOAD_BYTES, machine=this_machine(1), beyond=(this_machine(1),))
_OPEN = Open(
    session="0123456789abcdef" * 2,
    network=NetworkSource(builder="torchvision:alexnet", weights="seeded:0", digest="sha256:" + "0" * 64),
    granularity="module", input=TensorSpec(shape=(1, 3, 8, 8), dtype="float32"), edge_layers=("a", "b"), codec="raw",
    later_layers=(("c",), (), ("d", "e")),
)  # fmt: skip
CODECS = ("raw", "fp16", "int8", "jpeg:75", "zstd")
_CROSSING = {"a": torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2), "b": torch.tensor([True, False]),
             "c": torch.arange(6, dtype=torch.float16), "input": torch.arange(192.0).reshape(1, 3, 8, 8).relu()}  # fmt: skip
_PACKED_OUTPUTS = pack({"output": torch.arange(10, dtype=torch.float64).reshape(1, 10), "output.1": torch.arange(4)})


@cache
def _packed(codec: str) -> tuple[Tensors, list[memoryview]]:
    return pack(_CROSSING, codec_for(_OPEN.model_copy(update={"codec": codec})))


def _infer(number: int, codec: str = "raw") -> Said:
    headers, payload = _packed(codec)
    return Infer(id=number, tensors=headers, scalars={"size": 1, "shape": [1, 2]}), payload


def _result(number: int) -> Said:
    headers, payload = _PACKED_OUTPUTS
    beyond = (Span(t_tx_s=0.125, t_server_s=0.25), Span(t_tx_s=0.125, t_server_s=0.0, t_queue_s=0.125))
    return Result(id=number, tensors=headers, t_server_s=0.25, beyond=beyond), payload


def _conversation(codec: str) -> list[tuple[Role, Message, list[memoryview]]]:
    """One that uses every message; both sides ask as `_EdgeSide` does."""
    echo = Echo(id=1, echo_bytes=3, t_server_s=0.0)
    later = Echo(id=2, echo_bytes=3, t_server_s=0.0, t_hop_s=0.25)
    layers = (LayerTime(name="a", t_s=0.5, peak_bytes=3),)
    measured = Measured(id=1, layers=layers, timing=Timing(threads=1), machine=this_machine(1))
    return [
        (Role.EDGE, _HELLO, []), (Role.SERVER, _WELCOME, []),
        (Role.EDGE, _PROBE, [_NOTHING[:5]]), (Role.SERVER, echo, [_NOTHING[:3]]),
        (Role.EDGE, _LATER_PROBE, []), (Role.SERVER, later, []),
        (Role.EDGE, _MEASURE, []), (Role.SERVER, measured, []),
        (Role.EDGE, _OPEN.model_copy(update={"codec": codec}), []), (Role.EDGE, Ping(id=1), []),
        (Role.SERVER, Pong(id=1), []), (Role.SERVER, _READY, []),
        *((Role.EDGE, *_infer(number, codec)) for number in (3, 4)), *((Role.SERVER, *_result(number)) for number in (3, 4)),
        (Role.EDGE, Bye(), []),
    ]  # fmt: skip


def _frame(message: Message, payload: list[memoryview]) -> bytes:
    """Questions and answers of odd numbers have a trailer, as long ones do."""
    header, crc = message.model_dump_json().encode(), crc32_of(payload)
    is_trailed = isinstance(message, Infer | Result) and message.id % 2 == 1
    prefix = encode_prefix(message.TYPE, header, message.payload_bytes, None if is_trailed else crc)
    return b"".join((prefix, header, *payload, encode_trailer(crc) if is_trailed else b""))
