"""The way to the server for one thread, question by question; what follows the loss of a stream stands in the table of
`runner.wire.reconnecting`, and a question without an answer is asked again, with the same session, id and bytes.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lmos_edge.conversation import Conversation, Message
from lmos_edge.plans import CODECS, Plan
from lmos_edge.tensors import Array, pack, unpack
from lmos_opt import __version__
from lmos_opt.units import format_time
from runner.errors import (
    ConnectionLost,
    PeerError,
    ProtocolError,
    RunnerError,
    Unreachable,
)
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.asking import Asking
from runner.wire.connecting import format_address
from runner.wire.dialing import Dialing, Sockets, Streams
from runner.wire.protocol.frames import FrameType
from runner.wire.protocol.side import TRAILER, Closed
from runner.wire.protocol.turns import State as Talk
from runner.wire.reconnecting import OVER, Change, Reconnecting, State
from runner.wire.shaping import Pacer
from runner.wire.silence import Silence
from runner.wire.timeouts import PATIENT, Timeouts
from runner.wire.transport import FAREWELL_S, Channel

SOFTWARE = f"lmos-edge {__version__}"
ATTEMPTS = 5
"""How often a server that never greeted is tried before it is given up."""
_CAPABILITIES = ["resend", TRAILER, *(f"codec:{name}" for name in CODECS[1:])]


@dataclass(frozen=True)
class Happened:
    """Something out of the ordinary at a moment (`time.perf_counter`), by the runner's name for it, in one line."""

    at: float
    event: str
    text: str


class Exchange(Asking[tuple[Mapping[str, Any], dict[str, Array]]]):
    """One input's crossing tensors, and the `sizes` beside them, on their way; the answer is a RESULT's header and the outputs."""

    def __init__(self, number: int, crossing: Mapping[str, Array], plan: Plan, sizes: Mapping[str, Any] | None = None) -> None:
        begin = time.perf_counter()
        headers, payload = pack(crossing, plan.codec_of)
        super().__init__(number, payload, time.perf_counter() - begin if plan.codecs_used else 0.0)
        header = {"id": number, "tensors": headers, "scalars": dict(sizes or {})}
        self.message = Message(FrameType.INFER, header, self.sent_bytes)

    @property
    def exchange_s(self) -> float:
        """From its first byte to its answer (s)."""
        return self.ended_at - self.packed_at - self.t_queue_s


@dataclass
class Way:
    """How the server is reached: what is waited for, what lets in, a link's shape, who hears what happens, and streams (sockets
    unless others are given)."""

    timeouts: Timeouts = PATIENT
    access: Access = OPEN_DOOR
    pacer: Pacer | None = None
    tell: Callable[[Happened], None] = lambda happened: None
    streams: Streams | None = None
    random: random.Random = field(default_factory=random.Random)


class Server(Reconnecting):
    """One server, for one session. It has no thread: whoever waits for an answer drives the connection."""

    machine: Mapping[str, Any] | None = None
    beyond: tuple[Mapping[str, Any], ...] = ()

    def __init__(self, address: tuple[str, int], plan: Plan, way: Way) -> None:
        super().__init__(format_address(address), way.random)
        self._address, self._plan, self._way = address, plan, way
        self._opening = plan.opening(secrets.token_hex(16))
        self._streams = way.streams or Sockets(way.access.tls)
        self._channel: Channel[Conversation] | None = None
        self._dialing: Dialing | None = None
        self._silence = Silence(self.name, way.timeouts, self._streams)
        self._exchange: Exchange | None = None

    def reach(self, wanted: State, may_fail: bool) -> None:
        """Wait until the server is in a state (OPENING or READY).

        With `may_fail`, returns after `result_s` without it, if the server has greeted. Otherwise raises the error that keeps the
        server away: at once if nothing listens there, because the address is then most likely wrong.
        """
        asked = (State.OPENING, State.READY)
        end = self.now() + self._way.timeouts.result_s
        while self.state is not State.READY and self.state is not wanted:
            self.step(self._way.timeouts.heartbeat_s)
            failure = self.first_failure
            if self.refused is not None:
                raise self.refused
            if failure is None or self.state in asked:
                continue
            if not self.was_greeted and (self.failures >= ATTEMPTS or isinstance(self.last_failure, Unreachable)):
                raise failure
            if self.now() > end:
                if may_fail and self.was_greeted:
                    return
                raise failure

    def ask(self, exchange: Exchange) -> None:
        """Ask, as soon as the server can be asked. The exchange's tensors must not change until it is over."""
        self._exchange = exchange
        self.step(0.0)

    def wait(self, exchange: Exchange, until: float) -> bool:
        """Wait for the exchange, at most until `until` (s, the streams' clock). Returns whether it is over."""
        while not exchange.is_over and self.state not in OVER and (left := until - self._streams.now()) > 0:
            self.step(left)
        return exchange.is_over

    def withdraw(self) -> None:
        """Do not wait for the answer any longer."""
        self._exchange = None

    def now(self) -> float:
        """The streams' clock."""
        return self._streams.now()

    def close(self, politely: bool) -> None:
        """End the connection for good."""
        self._hang_up(politely)
        self._move(Change.CLOSED)

    def step(self, timeout_s: float) -> None:
        """Drive the connection for at most `timeout_s` (s): connect, greet, open, send waiting questions, take an answer."""
        try:
            channel = self._channel or self._dial(timeout_s)
            if channel is None:
                return
            self._silence.begin_listening()
            self._send_waiting(channel)
            event = channel.pump(min(timeout_s, self._way.timeouts.heartbeat_s / 2))
            self._silence.end_listening()
            if event is None:
                self._check_silence(channel)
            elif isinstance(event, Closed):
                raise ConnectionLost(self.name, "the peer closed the connection without an answer")
            else:
                self._take(channel, event)
        except (RunnerError, ProtocolError) as error:
            self._give_up(error)
        except BaseException:
            self._hang_up(politely=False)  # a part of a message may have been sent
            self._note_interrupted()
            raise

    def _dial(self, timeout_s: float) -> Channel[Conversation] | None:
        if self.state in OVER:
            return None
        if self._dialing is None:
            self._streams.sleep(min(self._again_at - self._streams.now(), timeout_s))
            if self._again_at > self._streams.now():
                return None
            self._move(Change.DIALLED)
            self._silence = Silence(self.name, self._way.timeouts, self._streams)
            self._dialing = self._streams.dial(self._address, self._way.timeouts.connect_s)
        stream = self._dialing.step(timeout_s)
        if stream is None:
            return None
        self._dialing = None
        self._channel = Channel(stream, Conversation(), pacer=self._way.pacer, clock=self._streams)
        said = {"software": SOFTWARE, "capabilities": _CAPABILITIES, "token": self._way.access.token}
        self._channel.begin(Message(FrameType.HELLO, said))
        return self._channel

    def _send_waiting(self, channel: Channel[Conversation]) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_under_way or channel.is_sending or channel.connection.state is not Talk.READY:
            return
        if len(channel.connection.waiting) >= channel.connection.window:  # some were withdrawn, and are computed all the same
            return
        exchange.note_sent()
        self._silence.note_asked()
        channel.begin(exchange.message, exchange.payload)
        if exchange.sent > 1:
            self._tell("asked", f"{self.name}: image {exchange.number} is sent, attempt {exchange.sent}")

    def _take(self, channel: Channel[Conversation], message: Message) -> None:
        header = message.header
        if message.type is FrameType.ERROR:
            raise PeerError(self.name, header["code"], f"the server refuses: {header['message']}", header["id"])
        if message.type is FrameType.WELCOME:
            self._open(channel, header)
        elif message.type is FrameType.READY:
            if self.machine is not None:
                self._tell("server_ready", f"{self.name}: ready again")
            self.machine, self.beyond = header["machine"], header["beyond"]
            channel.connection.payload_limit = header["result_bytes"]
            self._move(Change.BUILT)
        elif message.type is FrameType.RESULT:
            exchange = self._exchange
            if exchange is not None and exchange.number == header["id"]:
                exchange.answered((header, unpack(header["tensors"], message.payload)))
                self._exchange = None
                self._note_answered()

    def _open(self, channel: Channel[Conversation], welcome: Mapping[str, Any]) -> None:
        self.was_greeted = True
        self._silence.idle_s = max(welcome["idle_s"], 1.0)
        needed = {f"codec:{codec.partition(':')[0]}" for codec in self._plan.codecs_used}
        needed |= {"codecs"} if self._plan.codecs else set()
        needed |= {"places"} if self._plan.n_places > 2 else set()
        if lacking := needed - {*welcome["capabilities"]}:
            raise PeerError(self.name, "refused", f"the server cannot do {', '.join(sorted(lacking))}, which the plan needs")
        channel.begin(Message(FrameType.OPEN, self._opening))
        self._move(Change.WELCOMED)
        self._silence.note_opening()

    def _check_silence(self, channel: Channel[Conversation]) -> None:
        if (ping := self._silence.check(channel.connection, channel.moved_at, channel.is_sending)) is not None:
            channel.begin(Message(FrameType.PING, {"id": ping}))

    def _give_up(self, error: RunnerError | ProtocolError) -> None:
        self._hang_up(politely=False)
        given_up, exchange = self._note_given_up(error, self._streams.now()), self._exchange
        if self.refused is None and exchange is not None and given_up.about == exchange.number:
            exchange.failure, self._exchange = given_up.reason, None
        then = "given up" if given_up.pause_s is None else f"trying again in {format_time(given_up.pause_s)}"
        self._tell("server_lost", f"{given_up.reason}; {then}")

    def _hang_up(self, politely: bool) -> None:
        if self._dialing is not None:
            self._dialing.close()
            self._dialing = None
        if self._channel is not None:
            channel, self._channel = self._channel, None
            if politely and not channel.is_sending and channel.connection.state in {Talk.IDLE, Talk.OPENING, Talk.READY}:
                with contextlib.suppress(RunnerError, ProtocolError):
                    channel.begin(Message(FrameType.BYE, {}))
                    channel.pump(FAREWELL_S)
            channel.close()
        if self._exchange is not None:
            self._exchange.is_under_way = False

    def _tell(self, event: str, text: str) -> None:
        self._way.tell(Happened(time.perf_counter(), event, text))
