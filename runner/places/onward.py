"""The connection of a middle place to the place after it. Only the operator chooses its address; peers cannot."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from lmos_opt.profile import TensorSpec
from lmos_opt.tensors import inputs_of
from lmos_opt.units import codec_words, counted
from runner.client.exchange import Exchange, ServerAnswer
from runner.client.probe_client import ProbeClient
from runner.client.server_connection import ServerConnection
from runner.errors import PeerError, RunnerError
from runner.faults.refusal import Refusal, refusing
from runner.machine import Machine
from runner.parts.part import Crossing
from runner.watching.events import NOBODY, Events
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.protocol import TRANSIENT, ErrorCode, Open, Probe, TensorHeader, TextStep
from runner.wire.shaping import Pacer, Shape, as_pacer
from runner.wire.timeouts import PATIENT, Timeouts

_STEP_S, _PAUSE_S = 0.5, 0.05
GRACE_S = 10.0
"""The time (s) for which questions wait for a next place that is away. Then the edge gets a refusal, and decides what to do."""
_PASSED_ON = frozenset[ErrorCode]({"digest", "split", "tensors", "refused"})


@dataclass(frozen=True, kw_only=True)
class Next:
    """The place after this one: the `address` at which it listens, the token and certificates for it (`access`), the emulated link
    to it (`shape`; None: the link as it is), and how long to wait for it (`timeouts`)."""

    address: tuple[str, int]
    access: Access = OPEN_DOOR
    shape: Shape | None = None
    timeouts: Timeouts = PATIENT


class Onward:
    """The way to the next place for one session. Refusals say why it cannot answer: with the code `next` where it is away."""

    def __init__(self, to: Next, request: Open, pacer: Pacer | None, events: Events) -> None:
        self._to, self._connection = to, ServerConnection(to.address, request, pacer, to.timeouts, to.access, events=events)
        self._driven = ExitStack()
        self._making_ready = threading.Lock()
        self._is_driven = False
        self._away_since: float | None = None

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines of all places after this one."""
        machine = self._connection.machine
        return () if machine is None else (machine, *self._connection.beyond)

    def expect(self, results: Mapping[str, TensorHeader], varying: Collection[str] = ()) -> None:
        """Set the tensors that answers must have; the `varying` ones may have any size. Kept tensors are added to answers here."""
        self._connection.varying = varying
        self._connection.expected = {name: TensorSpec(shape=one.shape, dtype=one.dtype) for name, one in results.items()}

    def begin(self) -> None:
        """Ask the next place to build its part, so that both places build at the same time."""
        with self._making_ready:
            if not self._is_driven:
                self._until("is_asked")

    def make_ready(self) -> None:
        """Wait until the next place has built its part. From then on a thread drives the connection."""
        with self._making_ready:
            if not self._is_driven:
                self._until("is_open")
                self._driven.enter_context(self._connection.driving())
                self._is_driven = True
            while not self._connection.is_open:
                if (refusal := self._given_up()) is not None:
                    raise refusal
                time.sleep(_PAUSE_S)

    def ask(self, number: int, crossing: Crossing, text: TextStep | None = None, *, as_they_are: bool = False) -> Exchange:
        """Send a Crossing, now or as soon as possible. `text`: where it belongs in a text; `as_they_are`: without codecs."""
        return self._connection.ask(number, crossing, text, as_they_are=as_they_are)

    def answer(self, exchange: Exchange) -> ServerAnswer:
        """Wait for the answer, which includes the tensors that were kept here. Refusal if there will be none."""
        while not self._connection.wait(exchange, time.monotonic() + _STEP_S):
            if (refusal := self._given_up()) is not None:
                self._connection.withdraw(exchange, str(refusal))
                raise refusal
        if exchange.answer is None:
            raise Refusal("failed", exchange.failure or "the next place did not answer")
        return exchange.answer

    def close(self) -> None:
        """End the connection."""
        self._connection.close(politely=True)
        self._driven.close()

    def _until(self, done: str) -> None:
        deadline = time.monotonic() + self._to.timeouts.ready_s
        while not (getattr(self._connection, done) or self._connection.is_open):
            failures = self._connection.failures
            self._connection.step(_STEP_S)
            has_failed = self._connection.failures > failures and not self._connection.is_strange
            if self._connection.refused is not None or has_failed or time.monotonic() > deadline:
                raise self._refusal()

    def _given_up(self) -> Refusal | None:
        """Why there will be no answer: the next place refuses, or is away for longer than GRACE_S. None if there may be one."""
        if self._connection.refused is not None:
            return self._refusal()
        now = time.monotonic()
        self._away_since = None if self._connection.is_open else self._away_since or now
        return self._refusal() if self._away_since is not None and now - self._away_since > GRACE_S else None

    def _refusal(self) -> Refusal:
        refused = self._connection.refused
        if refused is None:
            return Refusal("next", f"the next place cannot be asked: {self._connection.reason or self._connection.name}")
        code = refused.code if isinstance(refused, PeerError) and refused.code in _PASSED_ON else "refused"
        return Refusal(code, f"the next place: {refused}")


class Surveyor:
    """Measures the hops after this place for one peer, over its own connection. All peers together have one exchange at a time."""

    def __init__(self, to: Next, pacer: Pacer | None, measuring: threading.Lock) -> None:
        self._to, self._pacer, self._measuring = to, pacer, measuring
        self._remote: ProbeClient | None = None

    def probe(self, asked: Probe) -> tuple[float, float]:
        """Make the exchange over a later hop that a peer asks for: its time (s), and the time (s) of the place beyond in it.

        Refusal if it cannot be made.
        """
        with self._measuring:
            remote = self._remote = self._remote or ProbeClient(self._to.address, self._pacer, self._to.timeouts, self._to.access)
            remote.hop = asked.hop - 1
            try:
                return remote.probe(asked.probe_bytes, asked.echo_bytes)
            except RunnerError as error:
                self.close()
                is_final = isinstance(error, PeerError) and error.code not in TRANSIENT
                raise Refusal("refused" if is_final else "next", f"the next place: {error}") from None

    def close(self) -> None:
        """End the connection, if there is one."""
        remote, self._remote = self._remote, None
        if remote is not None:
            remote.close(politely=True)


class Onwards:
    """The ways to the next place, one a session, shared by the connections on which its edge comes back. `to` is where the operator
    said that it listens; None: this server is the last place of every plan."""

    def __init__(self, to: Next | None = None, events: Events = NOBODY) -> None:
        self._to, self._events = to, events
        self._pacer = None if to is None else as_pacer(to.shape)
        self._open: dict[str, tuple[Onward, int]] = {}
        self._changing, self._measuring = threading.Lock(), threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether there is a next place."""
        return self._to is not None

    def surveyor(self) -> Surveyor:
        """A Surveyor of later hops for one peer, which the caller closes. Refusal if there is no next place."""
        if self._to is None:
            raise Refusal("refused", "later hops cannot be measured: this server was told of no next place (--next HOST:PORT)")
        return Surveyor(self._to, self._pacer, self._measuring)

    def start(self) -> None:
        """Start the clock of the next hop's shape."""
        if self._pacer is not None:
            self._pacer.start()

    def acquire(self, request: Open) -> Onward | None:
        """The connection to the next place for a peer's plan, which the caller releases; None if this place is the plan's last.

        Refusal if the plan has further places and this server has no next one, or if a codec cannot be used.
        """
        if len(request.later_layers) < 2:
            return None
        if self._to is None:
            after = counted(len(request.later_layers) - 1, "place")
            raise Refusal("refused", f"the plan has {after} after this one, and this server was told of none (--next HOST:PORT)")
        what = codec_words(request.codec, request.codecs)
        with self._changing, refusing("refused", f"the codec {what} cannot be used"):
            asked = onward_request(request)
            key = asked.model_dump_json()
            found, users = self._open.get(key) or (Onward(self._to, asked, self._pacer, self._events), 0)
            self._open[key] = found, users + 1
        return found

    def release(self, onward: Onward) -> None:
        """End one use of the connection. The last one closes it."""
        with self._changing:
            key = next(key for key, (one, _) in self._open.items() if one is onward)
            users = self._open.pop(key)[1] - 1
            if users:
                self._open[key] = onward, users
        if not users:
            onward.close()


def onward_request(request: Open) -> Open:
    """The OPEN for the next place.

    Its session is a hash of this one's. So after a restart of this place, the next place still has its answers. Who knows a session
    knows those of later places, but none of earlier places.
    """
    own, *later = request.later_layers
    session = hashlib.sha256(f"lmos next {request.session}".encode()).hexdigest()[: len(request.session)]
    return Open(session=session, network=request.network, granularity=request.granularity, codec=request.codec,
                codecs=request.codecs, edge_layers=(*request.edge_layers, *own), later_layers=tuple(later),
                **inputs_of(request))  # fmt: skip
