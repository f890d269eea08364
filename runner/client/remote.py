"""The server as the edge sees it: one conversation over one stream. Every failure is one RunnerError with one line.

`step` does all the work and never waits longer than it is told, so one thread can do other things between two steps. The table of
`runner.wire.protocol.turns` says who may send what and when. The table of `runner.wire.reconnecting` says what follows a failure.
"""

from __future__ import annotations

import contextlib
import secrets

from torch import Tensor

from lmos_opt.plan import Plan, PlannedNetwork
from lmos_opt.profile import NetworkSource
from lmos_opt.tensors import inputs_of
from measurement import codecs
from runner.errors import ConnectionLost, PeerError, RemoteProtocolError, RunnerError
from runner.machine import SOFTWARE, Machine
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.agreed_codec import needed_for
from runner.wire.connecting import format_address
from runner.wire.dialing import Sockets, Streams
from runner.wire.landing import Landing
from runner.wire.protocol import (
    CAPABILITIES,
    PLACES,
    Bye,
    Closed,
    Connection,
    Error,
    Hello,
    Infer,
    Measure,
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
from runner.wire.protocol.messages import CODECS, TEXTS
from runner.wire.protocol.turns import asked
from runner.wire.shaping import Pacer, Shape, as_pacer
from runner.wire.silence import Silence
from runner.wire.stream import Wake
from runner.wire.timeouts import PATIENT, Timeouts
from runner.wire.transport import FAREWELL_S, Channel


def opening(plan: Plan, network: PlannedNetwork, session: str | None = None) -> Open:
    """The message that asks a server to run a plan's tail. `session` names an earlier conversation that goes on (None: a new one).
    """
    source = NetworkSource(builder=network.builder, weights=network.weights, digest=network.digest, opaque=network.opaque)
    return Open(session=session or secrets.token_hex(16), network=source, granularity=network.granularity,
                edge_layers=plan.edge_layers, later_layers=asked(plan.later_layers), codec=plan.codec, codecs=plan.codecs,
                **inputs_of(network))  # fmt: skip


class Remote:
    """One conversation with a server. `machine`, and `beyond` for the places after it, are known when the server is ready.

    `streams` makes the streams: sockets, unless others are given.
    """

    machine: Machine
    beyond: tuple[Machine, ...] = ()

    def __init__(self, address: tuple[str, int], shape: Shape | Pacer | None, timeouts: Timeouts = PATIENT,
                 access: Access = OPEN_DOOR, streams: Streams | None = None) -> None:  # fmt: skip
        self.name = format_address(address)
        self.was_greeted = False
        self._timeouts, self._shape, self._token = timeouts, shape, access.token
        self._clock = streams or Sockets(access.tls)
        self._dialing = self._clock.dial(address, timeouts.connect_s)
        self._channel: Channel[Connection] | None = None
        self._opening: Open | None = None
        self._can: tuple[str, ...] = ()
        self._silence = Silence(self.name, timeouts, self._clock)
        self._landing = Landing()

    def close(self, politely: bool = False) -> None:
        """End the conversation. With `politely`, the server is told first, if there is time."""
        self._dialing.close()
        if self._channel is not None:
            if politely and not self._channel.is_sending and self.state not in {State.START, State.GREETED, State.CLOSED}:
                with contextlib.suppress(RunnerError, RemoteProtocolError):  # it may be taking its leave at this moment
                    self._channel.begin(Bye())
                    self._channel.pump(FAREWELL_S)
            self._channel.close()

    @property
    def state(self) -> State:
        """The state of the conversation."""
        return State.START if self._channel is None else self._channel.connection.state

    @property
    def is_sending(self) -> bool:
        """Whether a message is not yet sent to its end."""
        return self._channel is not None and self._channel.is_sending

    def newly_moved(self) -> tuple[int, int]:
        """The bytes that went out, and those that came in, since the last call."""
        return (0, 0) if self._channel is None else self._channel.newly_moved()

    @property
    def can_ask(self) -> bool:
        """Whether a further INFER may be sent now: the server takes one, and nothing else is being sent."""
        return self._channel is not None and not self._channel.is_sending and self._channel.connection.may_ask

    def begin_open(self, request: Open) -> None:
        """Ask the server to build the network, as soon as it has answered."""
        self._opening = request
        self._open_if_greeted()

    def ask(self, message: Infer | Probe | Measure, payload: list[memoryview]) -> None:
        """Send a question. A part goes out at once, the rest in `step`, which also returns the answer.

        The payload must not change meanwhile. Raises PeerError for a text if the server takes none.
        """
        if isinstance(message, Infer) and message.text is not None and TEXTS not in self._can:
            raise PeerError(self.name, "refused", "the server keeps no texts; its lmos is an earlier one")
        assert self._channel is not None
        self._silence.note_asked()
        self._channel.begin(message, payload)
        self._channel.push()
        self._landing.prepare()

    def tensors(self, answer: Result, payload: memoryview) -> dict[str, Tensor]:
        """The tensors of an answer, over its payload's memory, which they keep alive."""
        return self._landing.tensors(answer.tensors, payload)

    def step(self, timeout_s: float, wake: Wake | None = None, *, alone: bool = True) -> Received | None:
        """Connect, open, send and receive, for at most `timeout_s` or until `wake` is set. `alone` is as in `Channel.pump`.

        Returns a RESULT or an ECHO if one came, otherwise None. Raises ConnectionLost if the server is gone, silent or too slow,
        PeerError if it says why it ends the conversation, and RemoteProtocolError if it breaks the protocol.
        """
        self._silence.begin_listening()
        if self._channel is None:
            self._connect(timeout_s)
            return None
        event = self._channel.pump(min(timeout_s, self._timeouts.heartbeat_s / 2), wake, alone=alone)
        self._silence.end_listening()
        if event is None:
            self._check_silence(self._channel)
            return None
        if isinstance(event, Closed):
            raise ConnectionLost(self.name, "the peer closed the connection without an answer")
        return self._take(event)

    def _connect(self, timeout_s: float) -> None:
        if (stream := self._dialing.step(timeout_s)) is None:
            return
        self._channel = Channel(stream, Connection(Role.EDGE, self._landing.take), pacer=as_pacer(self._shape), clock=self._clock)
        self._channel.begin(Hello(software=SOFTWARE, capabilities=(*CAPABILITIES, *codecs.capabilities()), token=self._token))

    def _take(self, received: Received) -> Received | None:
        message = received.message
        if isinstance(message, Result):  # as nearly all are
            return received
        if isinstance(message, Error):
            raise PeerError(self.name, message.code, f"the server refuses: {message.message}", message.id)
        if isinstance(message, Welcome):
            self.was_greeted, self._silence.idle_s = True, max(message.idle_s, 1.0)
            self._can = message.capabilities
            self._open_if_greeted()
        elif isinstance(message, Ready):
            assert self._channel is not None
            self.machine, self.beyond = message.machine, message.beyond
            self._channel.connection.payload_limit = message.result_bytes
        elif not isinstance(message, Pong):
            return received
        return None

    def _open_if_greeted(self) -> None:
        if self._channel is not None and self._opening is not None and self.state is State.IDLE:
            for wanted in needed_for(self._opening):
                if wanted in self._can:
                    continue
                if wanted == CODECS:
                    raise PeerError(self.name, "refused", "the server knows plans of one codec alone; this one has several")
                known = ", ".join(name.removeprefix("codec:") for name in self._can if name.startswith("codec:"))
                raise PeerError(self.name, "refused", f"the server cannot do {wanted} (its codecs: {known or 'none'})")
            if self._opening.later_layers and PLACES not in self._can:
                raise PeerError(self.name, "refused", "the server knows plans of two places alone; this one has more")
            self._channel.begin(self._opening)
            self._silence.note_opening()

    def _check_silence(self, channel: Channel[Connection]) -> None:
        if (ping := self._silence.check(channel.connection, channel.moved_at, channel.is_sending)) is not None:
            channel.begin(Ping(id=ping))
