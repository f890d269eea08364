"""The way to the server: questions go out, answers come in, whatever happens to streams in between.

A lost, silent or damaged stream is given up, and after a pause that doubles another one is made; a question without an answer is
asked again, with the same session, id and bytes. The states, and what leads from one to another (TRANSITIONS):

| state    | means                                                 | leads on                                        |
| -------- | ----------------------------------------------------- | ----------------------------------------------- |
| AWAY     | no stream; the next is dialled when the pause is over | DIALLED: REACHING                               |
| REACHING | a stream is being made, or the server has not greeted | WELCOMED: OPENING; LOST: AWAY; REFUSED: REFUSED |
| OPENING  | the server builds the network                         | BUILT: READY; LOST: AWAY; REFUSED: REFUSED      |
| READY    | questions go out, answers come in                     | LOST: AWAY; REFUSED: REFUSED                    |
| REFUSED  | no other attempt can help                             |                                                 |
| CLOSED   | this side has ended it                                |                                                 |
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from lmos_edge.conversation import TRANSIENT, Closed, Conversation, Message
from lmos_edge.conversation import State as Talk
from lmos_edge.plans import CODECS, Plan
from lmos_edge.tensors import Array, pack, unpack
from lmos_opt import __version__
from lmos_opt.units import format_time
from runner.errors import (
    ConnectionLost,
    NotOurProtocol,
    PeerError,
    PeerTooSlow,
    ProtocolError,
    RunnerError,
    Unreachable,
    Untrusted,
)
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.connecting import format_address
from runner.wire.dialing import Sockets, Streams
from runner.wire.protocol.frames import FrameType
from runner.wire.shaping import Pacer
from runner.wire.timeouts import PATIENT, Timeouts
from runner.wire.transport import Channel

SOFTWARE = f"lmos-edge {__version__}"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
ATTEMPTS = 5
"""How often a server that never greeted is tried before it is given up."""
_CAPABILITIES = ["resend", *(f"codec:{name}" for name in CODECS[1:])]
_SIGNS_OF_LIFE = 3
"""A connection that has nothing to ask says so this often before the server would take it for gone."""


class State(Enum):
    """Where the way stands."""

    AWAY = auto()
    REACHING = auto()
    OPENING = auto()
    READY = auto()
    REFUSED = auto()
    CLOSED = auto()


class Change(Enum):
    """What leads from one state to another."""

    DIALLED = auto()
    WELCOMED = auto()
    BUILT = auto()
    LOST = auto()
    REFUSED = auto()
    CLOSED = auto()


_ENDS = {Change.LOST: State.AWAY, Change.REFUSED: State.REFUSED}
TRANSITIONS: dict[State, dict[Change, State]] = {
    State.AWAY: {Change.DIALLED: State.REACHING},
    State.REACHING: {Change.WELCOMED: State.OPENING, **_ENDS},
    State.OPENING: {Change.BUILT: State.READY, **_ENDS},
    State.READY: _ENDS.copy(),
    State.REFUSED: {},
    State.CLOSED: {},
}
for _table in TRANSITIONS.values():
    _table[Change.CLOSED] = State.CLOSED
OVER = frozenset({State.REFUSED, State.CLOSED})


@dataclass(frozen=True)
class Happened:
    """Something out of the ordinary at a moment (`time.perf_counter`), by the runner's name for it, in one line."""

    at: float
    event: str
    text: str


@dataclass
class Exchange:
    """One input's crossing tensors on their way; `answer` (a RESULT's header and the outputs) or `failure` says how it ended.

    `t_encode_s` is what packing them took, `t_queue_s` passed until they were sent for the first time, at `began_at`.
    """

    number: int
    headers: list[dict[str, Any]]
    payload: list[memoryview]
    t_encode_s: float
    packed_at: float
    t_queue_s: float = 0.0
    sent: int = 0
    is_under_way: bool = False
    answer: tuple[Mapping[str, Any], dict[str, Array]] | None = None
    ended_at: float = 0.0
    failure: str | None = None

    @classmethod
    def of(cls, number: int, crossing: Mapping[str, Array], codec: str) -> Exchange:
        """The exchange of these arrays."""
        begin = time.perf_counter()
        headers, payload = pack(crossing, codec)
        end = time.perf_counter()
        return cls(number, headers, payload, end - begin if codec != "raw" else 0.0, end)

    @property
    def sent_bytes(self) -> int:
        """Bytes of its tensors on the way."""
        return sum(part.nbytes for part in self.payload)

    @property
    def is_over(self) -> bool:
        """Whether there is an answer, or will be none."""
        return self.answer is not None or self.failure is not None

    @property
    def retries(self) -> int:
        """How often it was sent again."""
        return max(self.sent - 1, 0)

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


class Server:
    """One server, for one session; whoever waits for an answer goes on with the connection.

    `reason` is why a stream was last given up, `refused` the error that no other attempt can mend; `failures` of streams have come
    since the last answer, from `first_failure` to `last_failure`.
    """

    machine: Mapping[str, Any] | None = None
    beyond: tuple[Mapping[str, Any], ...] = ()

    def __init__(self, address: tuple[str, int], plan: Plan, way: Way) -> None:
        self.name, self._address, self._plan, self._way = format_address(address), address, plan, way
        self._opening = plan.opening(secrets.token_hex(16))
        self._streams = way.streams or Sockets(way.access.tls)
        self._channel: Channel[Conversation] | None = None
        self._dialing: Any = None
        self._exchange: Exchange | None = None
        self._again_at = self._due = self._quiet_since = self._stepped_at = 0.0
        self._idle_s, self._window = 300.0, 1
        self._pings = 0
        self._strange: str | None = None
        self.state = State.AWAY
        self.reason: str | None = None
        self.refused: RunnerError | None = None
        self.first_failure: RunnerError | None = None
        self.last_failure: RunnerError | None = None
        self.was_greeted = False
        self.failures = 0

    def reach(self, wanted: State, may_fail: bool) -> None:
        """Return when the server has come to a state (OPENING or READY), or, if it `may_fail` and did greet, without it after
        `result_s`.

        Raises what keeps it away otherwise, at once where nobody is there: before anything is done, that is most likely not the
        server that was meant.
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
        """Ask, as soon as the server can be asked. Its tensors must stay as they are."""
        self._exchange = exchange
        self.step(0.0)

    def wait(self, exchange: Exchange, until: float) -> bool:
        """Whether the exchange is over, at the latest at `until` (the streams' clock)."""
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
        """Go on for at most `timeout_s`: connect, greet, open, send what waits, take an answer."""
        try:
            channel = self._channel or self._dial(timeout_s)
            if channel is None:
                return
            now = self._streams.now()
            if now - self._stepped_at > self._way.timeouts.heartbeat_s:  # nobody listened meanwhile
                self._quiet_since = now
            self._send_waiting(channel)
            event = channel.pump(min(timeout_s, self._way.timeouts.heartbeat_s / 2))
            self._stepped_at = self._streams.now()
            if event is None:
                self._check_silence(channel)
            elif isinstance(event, Closed):
                raise ConnectionLost(self.name, "the peer closed the connection without an answer")
            else:
                self._take(channel, event)
        except (RunnerError, ProtocolError) as error:
            self._give_up(error)
        except BaseException:
            self._hang_up(politely=False)  # nobody knows what of a message was sent
            if Change.LOST in TRANSITIONS[self.state]:
                self._move(Change.LOST)
            raise

    def _move(self, change: Change) -> None:
        self.state = TRANSITIONS[self.state][change]

    def _dial(self, timeout_s: float) -> Channel[Conversation] | None:
        if self.state in OVER:
            return None
        if self._dialing is None:
            self._streams.sleep(min(self._again_at - self._streams.now(), timeout_s))
            if self._again_at > self._streams.now():
                return None
            self._move(Change.DIALLED)
            self._dialing = self._streams.dial(self._address, self._way.timeouts.connect_s)
        stream = self._dialing.step(timeout_s)
        if stream is None:
            return None
        self._dialing = None
        now = self._quiet_since = self._stepped_at = self._streams.now()
        self._due = now + self._way.timeouts.connect_s
        self._channel = Channel(stream, Conversation(), pacer=self._way.pacer, clock=self._streams)
        said = {"software": SOFTWARE, "capabilities": _CAPABILITIES, "token": self._way.access.token}
        self._channel.begin(Message(FrameType.HELLO, said))
        return self._channel

    def _send_waiting(self, channel: Channel[Conversation]) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_under_way or channel.is_sending or channel.connection.state is not Talk.READY:
            return
        if len(channel.connection.waiting) >= self._window:  # some were withdrawn, and are computed all the same
            return
        if not exchange.sent:
            exchange.t_queue_s = time.perf_counter() - exchange.packed_at
        exchange.sent, exchange.is_under_way = exchange.sent + 1, True
        self._quiet_since = self._streams.now()
        header = {"id": exchange.number, "tensors": exchange.headers, "scalars": {}}
        channel.begin(Message(FrameType.INFER, header), exchange.payload)
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
            self._move(Change.BUILT)
        elif message.type is FrameType.RESULT:
            exchange = self._exchange
            if exchange is not None and exchange.number == header["id"]:
                exchange.answer, exchange.ended_at = (header, unpack(header["tensors"], message.payload)), time.perf_counter()
                self._exchange, self.failures, self.first_failure, self._strange = None, 0, None, None

    def _open(self, channel: Channel[Conversation], welcome: Mapping[str, Any]) -> None:
        self.was_greeted = True
        self._idle_s, self._window = max(welcome["idle_s"], 1.0), welcome["window"]
        needed = {f"codec:{self._plan.codec}"} if self._plan.codec != "raw" else set()
        needed |= {"places"} if self._plan.n_places > 2 else set()
        if lacking := needed - {*welcome["capabilities"]}:
            raise PeerError(self.name, "refused", f"the server cannot do {', '.join(sorted(lacking))}, which the plan needs")
        channel.begin(Message(FrameType.OPEN, self._opening))
        self._move(Change.WELCOMED)
        self._due = self._streams.now() + self._way.timeouts.ready_s

    def _check_silence(self, channel: Channel[Conversation]) -> None:
        now, limits, talk = self._streams.now(), self._way.timeouts, channel.connection
        if talk.state in {Talk.START, Talk.GREETED, Talk.OPENING} and now > self._due:
            what, seconds = ("ready", limits.ready_s) if talk.state is Talk.OPENING else ("greet", limits.connect_s)
            raise PeerTooSlow(self.name, f"the peer sent nothing for {seconds:g} s: it did not {what}")
        if not talk.waiting and talk.state is not Talk.OPENING:
            self._quiet_since = now
        quiet_s = now - max(self._quiet_since, channel.moved_at)
        if quiet_s > limits.silence_s:
            raise PeerTooSlow(self.name, f"no sign of life for {limits.silence_s:g} s")
        is_quiet = quiet_s > limits.heartbeat_s or now - channel.moved_at > self._idle_s / _SIGNS_OF_LIFE
        if is_quiet and talk.state in {Talk.IDLE, Talk.OPENING, Talk.READY} and not talk.pings and not channel.is_sending:
            self._pings += 1
            channel.begin(Message(FrameType.PING, {"id": self._pings}))

    def _give_up(self, error: RunnerError | ProtocolError) -> None:
        """The stream is of no use any more; try another one later, unless that cannot help."""
        failure = error if isinstance(error, RunnerError) else RunnerError(self.name, f"the server broke the protocol: {error}")
        self.reason, self.first_failure, self.last_failure = str(failure), self.first_failure or failure, failure
        self._hang_up(politely=False)
        exchange = self._exchange
        about = error.request if isinstance(error, PeerError) else None
        is_final = about is None and self._is_final(error)
        self._move(Change.REFUSED if is_final else Change.LOST)
        if is_final:
            self.refused = failure
        elif exchange is not None and about == exchange.number:
            exchange.failure, self._exchange = self.reason, None
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self.failures, 16), LONGEST_PAUSE_S) * self._way.random.uniform(0.5, 1.0)
        self.failures += 1
        self._again_at = self._streams.now() + pause_s
        self._tell("server_lost", f"{self.reason}; " + ("given up" if is_final else f"trying again in {format_time(pause_s)}"))

    def _is_final(self, error: RunnerError | ProtocolError) -> bool:
        if isinstance(error, NotOurProtocol):  # twice the same is no damage on the way
            before, self._strange = self._strange, str(error)
            return before == self._strange
        if isinstance(error, PeerError):
            return error.code not in TRANSIENT
        return isinstance(error, Untrusted)

    def _hang_up(self, politely: bool) -> None:
        if self._dialing is not None:
            self._dialing.close()
            self._dialing = None
        if self._channel is not None:
            channel, self._channel = self._channel, None
            if politely and not channel.is_sending and channel.connection.state in {Talk.IDLE, Talk.OPENING, Talk.READY}:
                with contextlib.suppress(RunnerError, ProtocolError):
                    channel.begin(Message(FrameType.BYE, {}))
                    channel.pump(0.0)
            channel.close()
        if self._exchange is not None:
            self._exchange.is_under_way = False

    def _tell(self, event: str, text: str) -> None:
        self._way.tell(Happened(time.perf_counter(), event, text))
