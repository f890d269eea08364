"""The server as the edge sees it: one conversation, every failure one clear RunnerError."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from torch import Tensor

import lmos_opt
from lmos_opt.plan import Plan, PlannedNetwork
from lmos_opt.profile import NetworkSource
from runner.errors import ConnectionLost, PeerError, RemoteProtocolError, RunnerError
from runner.machine import Machine
from runner.protocol import Bye, Connection, Error, Hello, Infer, Message, Open, Ready, Received, Result, Role
from runner.shaping import Pacer, Shape
from runner.split import Crossing
from runner.tensors import pack, unpack
from runner.transport import Channel, connect, format_address

M = TypeVar("M", bound=Message)

_LAST_WORDS_S = 0.5
"""How long a server that closed the connection is listened to for its reason."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds that the server has for each answer; building a large network takes it a while."""

    connect_s: float = 10.0
    ready_s: float = 300.0
    result_s: float = 120.0


PATIENT = Timeouts()


@dataclass(frozen=True)
class Answer:
    """A network's outputs, the exchange's time at the edge and the server's own span in it (s)."""

    outputs: dict[str, Tensor]
    exchange_s: float
    t_server_s: float


class Remote:
    """A server that was asked to open a plan. `machine` is known once `wait_until_ready` has returned."""

    machine: Machine

    def __init__(self, address: tuple[str, int], shape: Shape | None, timeouts: Timeouts) -> None:
        self.name = format_address(address)
        self._timeouts = timeouts
        self._channel = Channel(connect(address, timeouts.connect_s), Connection(Role.EDGE),
                                pacer=Pacer(shape) if shape else None)  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is None:
            with contextlib.suppress(RunnerError):
                self._send(Bye())
        self._channel.close()

    def open(self, plan: Plan, network: PlannedNetwork) -> None:
        """Greet the server and ask it to build the plan's network; it does so while this side builds its own."""
        self._send(Hello(software=f"lmos {lmos_opt.__version__}"))
        self._expect(Hello, self._timeouts.connect_s)
        source = NetworkSource(builder=network.builder, weights=network.weights, digest=network.digest)
        self._send(Open(network=source, granularity=network.granularity, input=network.input,
                        edge_layers=plan.edge_layers, codec=plan.codec))  # fmt: skip

    def wait_until_ready(self) -> None:
        """Return when the server's tail is built, checked and warm."""
        ready, _ = self._expect(Ready, self._timeouts.ready_s)
        self.machine = ready.machine
        self._channel.connection.payload_limit = ready.result_bytes

    def infer(self, number: int, crossing: Crossing) -> Answer:
        """Send what crosses, receive the outputs; packing and unpacking count."""
        begin = time.perf_counter()
        headers, payload = pack(crossing)
        self._send(Infer(id=number, tensors=headers, scalars=crossing.scalars), payload)
        result, answer = self._expect(Result, self._timeouts.result_s)
        outputs = unpack(result.tensors, answer)
        exchange_s = time.perf_counter() - begin
        if result.t_server_s > exchange_s or not outputs:
            raise RunnerError(self.name, f"the server reports {len(outputs)} outputs and {result.t_server_s} s of work "
                                         f"in an exchange of {exchange_s} s")  # fmt: skip
        return Answer(outputs, exchange_s, result.t_server_s)

    def _send(self, message: Message, payload: Sequence[memoryview] = ()) -> None:
        try:
            self._channel.send(message, payload)
        except ConnectionLost as lost:  # perhaps it said why before it closed
            try:
                self._receive(_LAST_WORDS_S)
            except ConnectionLost:
                raise lost from None

    def _expect(self, kind: type[M], timeout_s: float) -> tuple[M, memoryview]:
        received = self._receive(timeout_s)
        if not isinstance(received.message, kind):
            raise RunnerError(self.name, f"the server answered {received.message.TYPE.name}")
        return received.message, received.payload

    def _receive(self, timeout_s: float) -> Received:
        """The next message; PeerError where it is the server's reason to end the conversation."""
        try:
            received = self._channel.expect(timeout_s)
        except RemoteProtocolError as error:
            raise RunnerError(self.name, f"the server left the protocol: {error}") from None
        if isinstance(received.message, Error):
            raise PeerError(self.name, received.message.code, f"the server refuses: {received.message.message}")
        return received
