"""The server as the edge sees it: one conversation over one connection, every failure one clear RunnerError.

`step` is all there is to it: it never waits longer than it is told, so one thread can do everything else as well. What
comes after a failure is decided in `runner.client.server_connection`.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self

from torch import Tensor

from lmos_opt.plan import Plan, PlannedNetwork
from lmos_opt.profile import NetworkSource, TensorSpec
from measurement import codecs
from measurement.codecs import RAW, Codec
from runner.errors import ConnectionLost, PeerError, PeerTooSlow, RunnerError, one_line
from runner.machine import SOFTWARE, Machine
from runner.parts.split import Crossing
from runner.wire.agreed_codec import codec_for
from runner.wire.connecting import Dialer, format_address
from runner.wire.protocol import (
    CAPABILITIES,
    Bye,
    Closed,
    Connection,
    Echo,
    Error,
    Hello,
    Infer,
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
from runner.wire.protocol.messages import LARGEST_PROBE_BYTES
from runner.wire.shaping import Pacer, Shape, as_pacer
from runner.wire.tensors import pack, unpack
from runner.wire.tls import Tls
from runner.wire.transport import Channel

_SIGNS_OF_LIFE = 3
"""A connection that has nothing to ask says so this often before the server would take it for gone."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds that the server has: to be reached and to greet, to be ready (building a large network takes a while),
    for an image's exchange with everything that goes wrong in it, and for a sign of life (asked for after `heartbeat_s`
    without one). Without another server to turn to, images wait `give_up_s` at most."""

    connect_s: float = 10.0
    ready_s: float = 300.0
    result_s: float = 30.0
    heartbeat_s: float = 2.0
    silence_s: float = 10.0
    give_up_s: float = 120.0


PATIENT = Timeouts()


@dataclass(frozen=True)
class Access:
    """What the edge needs to be let in: a token, and TLS. Neither for a server on loopback."""

    token: str | None = None
    tls: Tls | None = None


OPEN_DOOR = Access()


@dataclass(frozen=True)
class ServerAnswer:
    """A network's outputs, the exchange's time at the edge and the server's own span in it (s), and of that the codec's; how long
    the question waited for the server to begin, and how many bytes came back."""

    outputs: dict[str, Tensor]
    exchange_s: float
    t_server_s: float
    t_decode_s: float = 0.0
    t_queue_s: float = 0.0
    received_bytes: int = 0


@cache
def _noise() -> memoryview:
    """Bytes for probes: random, since a link that compresses would carry zeros in no time."""
    return memoryview(os.urandom(LARGEST_PROBE_BYTES))


def opening(plan: Plan, network: PlannedNetwork, session: str | None = None) -> Open:
    """What asks a server to run a plan's tail; `session` is a fresh one unless an earlier conversation goes on."""
    source = NetworkSource(builder=network.builder, weights=network.weights, digest=network.digest)
    return Open(session=session or secrets.token_hex(16), network=source, granularity=network.granularity,
                input=network.input, edge_layers=plan.edge_layers, codec=plan.codec)  # fmt: skip


class ProbeClient:
    """One conversation with a server. `machine` is known once it is ready."""

    machine: Machine

    def __init__(self, address: tuple[str, int], shape: Shape | Pacer | None, timeouts: Timeouts = PATIENT,
                 access: Access = OPEN_DOOR) -> None:  # fmt: skip
        self.name = format_address(address)
        self.was_greeted = False
        self._timeouts, self._shape, self._token = timeouts, shape, access.token
        self._tls = access.tls.for_host(address[0]) if access.tls else None
        self._dialer = Dialer(address, timeouts.connect_s)
        self._channel: Channel | None = None
        self._opening: Open | None = None
        self._codec: Codec | None = None
        self._can: tuple[str, ...] = ()
        self._due = time.monotonic() + timeouts.connect_s
        self._quiet_since = self._stepped_at = time.monotonic()
        self._pings = 0
        self._idle_s = math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close(politely=error is None)

    def close(self, politely: bool = False) -> None:
        """End the conversation, with a word if there is time."""
        self._dialer.close()
        if self._channel is not None:
            if politely and not self._channel.is_sending and self.state not in {State.START, State.GREETED, State.CLOSED}:
                with contextlib.suppress(RunnerError):
                    self._channel.begin(Bye())
                    self._channel.pump(0.0)
            self._channel.close()

    @property
    def state(self) -> State:
        """Where the conversation stands."""
        return State.START if self._channel is None else self._channel.connection.state

    def newly_moved(self) -> tuple[int, int]:
        """How many bytes went out and came in since this was last asked."""
        return (0, 0) if self._channel is None else self._channel.newly_moved()

    @property
    def can_ask(self) -> bool:
        """Whether one more INFER may be sent now, and nothing else is on its way out."""
        if self._channel is None or self.state is not State.READY or self._channel.is_sending:
            return False
        return len(self._channel.connection.waiting) < self._channel.connection.window

    # without waiting -------------------------------------------------------------------------------------------------

    def begin_open(self, request: Open) -> None:
        """Ask the server to build the network, as soon as it has greeted."""
        self._opening = request
        self._open_if_greeted()

    def ask(self, message: Infer | Probe, payload: list[memoryview]) -> None:
        """Send a question; its answer comes out of `step`. The payload must stay as it is."""
        assert self._channel is not None
        self._quiet_since = time.monotonic()
        self._channel.begin(message, payload)

    def step(self, timeout_s: float, wake: int | None = None) -> Received | None:
        """Go on, for `timeout_s` at most (or until `wake` is readable): connect, greet, open, send, receive.

        Returns a RESULT or an ECHO if one came. Raises ConnectionLost where the server is gone, silent or too slow,
        PeerError where it says why it ends the conversation, RemoteProtocolError where it leaves the protocol.
        """
        now = time.monotonic()
        if now - self._stepped_at > self._timeouts.heartbeat_s:  # nobody listened meanwhile
            self._quiet_since = now
        if self._channel is None:
            self._connect(timeout_s)
            return None
        event = self._channel.pump(min(timeout_s, self._timeouts.heartbeat_s / 2), wake)
        self._stepped_at = time.monotonic()
        if event is None:
            self._check_silence(self._channel)
            return None
        if isinstance(event, Closed):
            raise ConnectionLost(self.name, "the peer closed the connection without an answer")
        return self._take(event)

    def _connect(self, timeout_s: float) -> None:
        if (sock := self._dialer.step(timeout_s)) is None:
            return
        self._channel = Channel(sock, Connection(Role.EDGE), pacer=as_pacer(self._shape), tls=self._tls)
        self._channel.begin(Hello(software=SOFTWARE, capabilities=(*CAPABILITIES, *codecs.capabilities()), token=self._token))

    def _take(self, received: Received) -> Received | None:
        message = received.message
        if isinstance(message, Error):
            raise PeerError(self.name, message.code, f"the server refuses: {message.message}", message.id)
        if isinstance(message, Welcome):
            self.was_greeted, self._idle_s = True, max(message.idle_s, 1.0)
            self._can = message.capabilities
            self._open_if_greeted()
        elif isinstance(message, Ready):
            assert self._channel is not None
            self.machine = message.machine
            self._channel.connection.payload_limit = message.result_bytes
        elif not isinstance(message, Pong):
            return received
        return None

    def _open_if_greeted(self) -> None:
        if self._channel is not None and self._opening is not None and self.state is State.IDLE:
            wanted = codecs.capability(self._opening.codec)
            if self._opening.codec != RAW and wanted not in self._can:
                known = ", ".join(name.removeprefix("codec:") for name in self._can if name.startswith("codec:"))
                raise PeerError(self.name, "refused", f"the server cannot do {wanted} (its codecs: {known or 'none'})")
            self._channel.begin(self._opening)
            self._due = time.monotonic() + self._timeouts.ready_s

    def _check_silence(self, channel: Channel) -> None:
        now, limits = time.monotonic(), self._timeouts
        if self.state in {State.START, State.GREETED, State.OPENING} and now > self._due:
            what = "ready" if self.state is State.OPENING else "greet"
            seconds = limits.ready_s if self.state is State.OPENING else limits.connect_s
            raise PeerTooSlow(self.name, f"the peer sent nothing for {seconds:g} s: it did not {what}")
        if not channel.connection.waiting and self.state is not State.OPENING:
            self._quiet_since = now
        quiet_s = now - max(self._quiet_since, channel.moved_at)
        if quiet_s > limits.silence_s:
            raise PeerTooSlow(self.name, f"no sign of life for {limits.silence_s:g} s")
        is_quiet = quiet_s > limits.heartbeat_s or now - channel.moved_at > self._idle_s / _SIGNS_OF_LIFE
        if is_quiet and self.state is not State.CLOSED and not channel.connection.pinged and not channel.is_sending:
            self._pings += 1
            channel.begin(Ping(id=self._pings))

    # waiting ---------------------------------------------------------------------------------------------------------

    def open(self, plan: Plan, network: PlannedNetwork) -> None:
        """Ask the server to build the plan's network; it does so while this side builds its own."""
        request = opening(plan, network)
        self._codec = codec_for(request)
        self.begin_open(request)
        self._until(lambda: self.state not in {State.START, State.GREETED, State.IDLE}, self._timeouts.connect_s)

    def wait_until_ready(self) -> None:
        """Return when the server's tail is built, checked and warm."""
        self._until(lambda: self.state is State.READY, self._timeouts.ready_s)

    def infer(self, number: int, crossing: Crossing) -> ServerAnswer:
        """Send what crosses, receive the outputs; packing and unpacking count."""
        begin = time.perf_counter()
        headers, payload = pack(crossing, self._codec)
        self.ask(Infer(id=number, tensors=headers, scalars=crossing.as_sent()), payload)
        received = self._answer(self._timeouts.result_s)
        assert isinstance(received.message, Result)
        outputs = unpack(received.message.tensors, received.payload)
        return checked_answer(self.name, outputs, time.perf_counter() - begin, received.message, crossing.kept)

    def probe(self, probe_bytes: int, echo_bytes: int, within_s: float | None = None) -> tuple[float, float]:
        """The time (s) of one exchange of so many bytes there and back, and the server's own span in it.

        PeerTooSlow where it takes longer than `within_s` (None: than an image may), RunnerError where the server cannot do that.
        """
        self._until(lambda: self.state in {State.IDLE, State.READY}, self._timeouts.connect_s)
        if "probe" not in self._can:
            raise RunnerError(self.name, "the server does not answer probes")
        payload = [_noise()[:probe_bytes]]
        begin = time.perf_counter()
        self.ask(Probe(id=0, probe_bytes=probe_bytes, echo_bytes=echo_bytes), payload)
        received = self._answer(self._timeouts.result_s if within_s is None else within_s)
        assert isinstance(received.message, Echo)
        return time.perf_counter() - begin, received.message.t_server_s

    def _until(self, done: Callable[[], bool], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                raise PeerTooSlow(self.name, f"the peer sent nothing for {timeout_s:g} s")
            self.step(max(end - time.monotonic(), 0.0))

    def _answer(self, timeout_s: float) -> Received:
        end = time.monotonic() + timeout_s
        while (received := self.step(max(end - time.monotonic(), 0.0))) is None:
            if time.monotonic() > end:
                raise PeerTooSlow(self.name, f"the peer sent nothing for {timeout_s:g} s")
        return received


def check_outputs(where: str, outputs: Mapping[str, Tensor], expected: Mapping[str, TensorSpec] | None,
                  kept: Collection[str] = ()) -> None:  # fmt: skip
    """RunnerError where a server's outputs are not those of the network without what was `kept`, by name, dtype or shape; None:
    nobody knows."""
    if expected is None:
        return
    expected = {name: spec for name, spec in expected.items() if name not in kept}
    found = {name: f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}" for name, tensor in outputs.items()}
    wanted = {name: f"{spec.dtype}{list(spec.shape)}" for name, spec in expected.items()}
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            raise RunnerError(where, f"the server's outputs are not the network's: {one_line(name, 100)}: got "
                                     f"{found.get(name, 'none')}, expected {wanted.get(name, 'none')}")  # fmt: skip


def checked_answer(where: str, outputs: Mapping[str, Tensor], exchange_s: float, result: Result,
                   kept: Mapping[str, Tensor] | None = None) -> ServerAnswer:  # fmt: skip
    """The answer with what was `kept` here in it, unless it cannot be true: RunnerError."""
    kept = kept or {}
    span_s = result.t_server_s + result.t_queue_s
    if not (result.t_decode_s <= result.t_server_s and span_s <= exchange_s) or not (outputs or kept):
        raise RunnerError(where, f"the server reports {len(outputs)} outputs and {span_s} s of work "
                                 f"in an exchange of {exchange_s} s")  # fmt: skip
    received_bytes = sum(tensor.nbytes for tensor in outputs.values())
    return ServerAnswer({**outputs, **kept}, exchange_s, result.t_server_s, result.t_decode_s, result.t_queue_s, received_bytes)
