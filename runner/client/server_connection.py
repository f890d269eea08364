"""The connection to the server. Crossing tensors go out and answers come in, also if the stream is lost and made again.

The table of `runner.wire.reconnecting` says what follows the loss of a stream. Questions without an answer are asked again under
the same ids. The caller decides how long it waits. If the server cannot answer a question, only that question fails.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from lmos_opt.profile import TensorSpec
from runner.client.exchange import Exchange, check_outputs, checked_answer
from runner.client.remote import Remote
from runner.errors import (
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    RunnerError,
)
from runner.machine import Machine
from runner.parts.part import Crossing
from runner.watching.events import NOBODY, Asked, BytesMoved, Events, ServerLost, ServerReady
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.agreed_codec import codec_for
from runner.wire.connecting import format_address
from runner.wire.dialing import Sockets, Streams
from runner.wire.protocol import Open, Received, Result, Tensors, TextStep
from runner.wire.protocol import State as Talk
from runner.wire.reconnecting import OVER, Change, Reconnecting, State
from runner.wire.shaping import Pacer, Shape
from runner.wire.stream import Wake
from runner.wire.timeouts import PATIENT, Timeouts

_STEP_S = 0.5
_LONGEST_S = 3600.0
"""The longest sleep (s). A lock refuses to wait for hundreds of years, which a deadline may be."""


class ServerConnection(Reconnecting):
    """The connection to one server, for one session.

    Any number of threads may ask and wait. One of the waiting threads sends and receives for all of them; inside `driving()` a
    thread of its own does. An answer that is not as `expected` fails only its own question (the sizes of `varying` tensors may
    differ). `streams` makes the streams: sockets, unless others are given.
    """

    machine: Machine | None = None
    beyond: tuple[Machine, ...] = ()
    varying: Collection[str] = ()

    def __init__(self, address: tuple[str, int], request: Open, shape: Shape | Pacer | None, timeouts: Timeouts = PATIENT,
                 access: Access = OPEN_DOOR, seed: int | None = None, events: Events = NOBODY,
                 streams: Streams | None = None) -> None:  # fmt: skip
        super().__init__(format_address(address), random.Random(seed))
        self._events = events
        self._address, self._request, self._shape, self._timeouts, self._access = address, request, shape, timeouts, access
        self._streams = streams or Sockets(access.tls)
        self._codec = codec_for(request)
        self.has_codec = self._codec is not None
        self._remote: Remote | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._leading = threading.Lock()  # held by the thread that goes on with the connection
        self._wake: Wake | None = None
        self._is_closing = self._is_driven = False
        self._expected: Mapping[str, TensorSpec] | None = None
        self._passed: Tensors | None = None  # of answers that looked as expected
        self._crash: BaseException | None = None

    @property
    def expected(self) -> Mapping[str, TensorSpec] | None:
        """The dtype and shape that each output must have, by path; None if they are not known."""
        return self._expected

    @expected.setter
    def expected(self, specs: Mapping[str, TensorSpec] | None) -> None:
        self._expected, self._passed = specs, None

    @property
    def is_open(self) -> bool:
        """Whether the server is ready for questions."""
        return self.state is State.READY

    @property
    def _is_over(self) -> bool:
        """Whether nothing will be asked or answered any more."""
        return self._is_closing or self.state in OVER

    @property
    def is_asked(self) -> bool:
        """Whether the server was reached, and the message that asks it to build the network was sent to its last byte."""
        remote = self._remote
        return self.state in {State.OPENING, State.READY} and remote is not None and not remote.is_sending

    # from any thread -------------------------------------------------------------------------------------------------

    def ask(self, number: int, crossing: Crossing, text: TextStep | None = None, *, as_they_are: bool = False) -> Exchange:
        """Send the crossing tensors, now or as soon as the server takes them. `wait` waits for the answer.

        A question that is alone is sent before this returns, so the caller's next work runs while the question is under way. With
        `as_they_are`, the tensors are sent without the plan's codec. For a decoder, `text` says where in which text they belong.
        The tensors must not change meanwhile. Raises LocalProtocolError if another question with this number waits for its answer.
        """
        tells = as_they_are and len(self._request.later_layers) > 1  # the last place sends nothing on
        exchange = Exchange(number, crossing, None if as_they_are else self._codec, tells, text)
        with self._lock:
            is_alone = not self._exchanges
            if number in self._exchanges:
                raise LocalProtocolError(f"question {number} is asked while it waits for its answer")
            if self._is_closing:
                exchange.failure = f"{self.name}: the connection is closed"
            else:
                self._exchanges[number] = exchange
        if is_alone and self.is_open and self._leading.acquire(blocking=False):
            with _Leading(self):
                try:
                    self._ask_next()
                except (RunnerError, RemoteProtocolError) as error:
                    self._give_up(error)
        else:
            self._nudge()
        return exchange

    def withdraw(self, exchange: Exchange, failure: str) -> None:
        """Stop waiting for the answer: the exchange has failed. A question that is under way is not sent again."""
        with self._lock:
            if self._exchanges.get(exchange.number) is exchange:
                del self._exchanges[exchange.number]
            if not exchange.is_over:
                exchange.failure = failure
            self._changed.notify_all()
        self._nudge()

    def wait(self, exchange: Exchange, until: float) -> bool:
        """Wait until the exchange is over, at most until the time `until` (s, on the streams' clock). Returns whether it is over.
        """
        while not (exchange.is_over or self._is_over):
            if self._leading.acquire(blocking=False):
                with _Leading(self):
                    while not (exchange.is_over or self._is_over):
                        left = until - self._streams.now()
                        self._step(max(left, 0.0))
                        if left <= 0:
                            break
                break
            with self._lock:
                self._changed.wait_for(lambda: exchange.is_over or self._is_over or self._crash or not self._leading.locked(),
                                       min(max(until - self._streams.now(), 0.0), _LONGEST_S))  # fmt: skip
            if self._crash is not None:
                raise self._crash
            if self._streams.now() >= until:
                break
        return exchange.is_over

    def step(self, timeout_s: float) -> None:
        """Connect, send and receive, for at most `timeout_s`. Returns at once if another thread does so."""
        if not self._is_closing and self._leading.acquire(blocking=False):
            with _Leading(self):
                self._step(timeout_s)

    @contextmanager
    def driving(self) -> Iterator[None]:
        """While the block runs, a thread of its own sends and receives. RunnerError if no thread can be started."""
        stop = threading.Event()

        def drive() -> None:
            while not self._leading.acquire(timeout=_STEP_S):
                if stop.is_set():
                    return
            try:
                with _Leading(self):
                    while not (stop.is_set() or self._is_closing):
                        self._step(_STEP_S)
            except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
                with self._lock:
                    self._crash = error
                    self._changed.notify_all()

        thread = threading.Thread(target=drive, name="connection", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise RunnerError(self.name, f"no thread can be started for the connection: {error}") from None
        self._is_driven = True
        try:
            yield
        finally:
            self._is_driven = False
            stop.set()
            self._nudge()
            thread.join()

    def close(self, politely: bool) -> None:
        """End the connection for good. Exchanges that wait for an answer have failed."""
        with self._lock:
            self._is_closing = True
            for exchange in self._exchanges.values():
                exchange.failure = f"{self.name}: the connection is closed"
            self._exchanges.clear()
            self._changed.notify_all()
        self._nudge()
        with self._leading:
            self._hang_up(politely)
            self._move(Change.CLOSED)
            if self._wake is not None:
                self._wake.close()

    def _nudge(self) -> None:
        """Whoever goes on with the connection looks again at what waits."""
        if self._wake is not None and self._leading.locked():
            self._wake.set()

    # the thread that goes on with the connection ---------------------------------------------------------------------

    def _leave(self, interrupted: bool) -> None:
        """Somebody else may go on with the connection.

        A stream inside which this thread was interrupted is given up: nobody knows what of a message was sent.
        """
        try:
            if interrupted:
                self._hang_up(politely=False)
                self._note_interrupted()
                self._ask_again()
        finally:
            self._leading.release()
            with self._lock:
                self._changed.notify_all()

    def _step(self, timeout_s: float) -> None:
        self._wake = self._wake or Wake()
        self._wake.clear()
        try:
            remote = self._remote or self._dial(timeout_s)
            if remote is not None:
                while self._ask_next():
                    pass
                received = remote.step(timeout_s, self._wake, alone=not self._is_driven)
                self._note_progress(remote)
                if received is not None:
                    self._take(remote, received)
                    self._tell_moved(remote)
        except (RunnerError, RemoteProtocolError) as error:
            self._give_up(error)

    def _ask_next(self) -> bool:
        """Begin the next exchange, if there is one and the server takes it: what of it goes at once is sent."""
        remote = self._remote
        if remote is None or (exchange := self._next(remote)) is None:
            return False
        exchange.note_sent()
        try:
            remote.ask(exchange.message, exchange.payload)
        finally:
            self._events.tell(Asked(peer=self.name, number=exchange.number, attempt=exchange.sent, sent_bytes=exchange.sent_bytes))
        return True

    def _dial(self, timeout_s: float) -> Remote | None:
        pause_s = timeout_s if self.state in OVER else min(self._again_at - self._streams.now(), timeout_s)
        self._streams.sleep(pause_s, self._wake)
        if self.state in OVER or self._again_at > self._streams.now():
            return None
        self._move(Change.DIALLED)
        self._remote = Remote(self._address, self._shape, self._timeouts, self._access, self._streams)
        self._remote.begin_open(self._request)
        return self._remote

    def _note_progress(self, remote: Remote) -> None:
        if self.state is State.REACHING and remote.state in {Talk.OPENING, Talk.READY}:
            self.was_greeted = True
            self._move(Change.WELCOMED)
        if self.state is State.OPENING and remote.state is Talk.READY:
            self._move(Change.BUILT)
            self._events.tell(ServerReady(peer=self.name, again=self.machine is not None))
            self.machine, self.beyond = remote.machine, remote.beyond

    def _next(self, remote: Remote) -> Exchange | None:
        """The exchange to begin now, if there is one and the server takes it."""
        if not remote.can_ask:
            return None
        with self._lock:
            for exchange in self._exchanges.values():
                if not exchange.is_under_way:
                    return exchange
        return None

    def _take(self, remote: Remote, received: Received) -> None:
        message = received.message
        if not isinstance(message, Result):
            return
        with self._lock:
            exchange = self._exchanges.pop(message.id, None)
        if exchange is None:  # it was withdrawn
            return
        try:
            outputs = remote.tensors(message, received.payload)
            if (outputs or message.held is None) and not (self._passed is message.tensors and not exchange.kept):
                check_outputs(self.name, outputs, self.expected, exchange.kept, self.varying)
                self._passed = None if exchange.kept else message.tensors  # as a rule the very same next time
            answer = checked_answer(self.name, outputs, exchange.spent_s, message, exchange.kept)
        except RunnerError as error:
            self._end(exchange, str(error))
            return
        self._note_answered()
        with self._lock:
            exchange.answered(answer)
            self._changed.notify_all()

    def _end(self, exchange: Exchange, failure: str) -> None:
        with self._lock:
            self._exchanges.pop(exchange.number, None)
            exchange.failure = failure
            self._changed.notify_all()

    # after a failure -------------------------------------------------------------------------------------------------

    def _give_up(self, error: RunnerError | ProtocolError) -> None:
        self.was_greeted = self.was_greeted or (self._remote is not None and self._remote.was_greeted)
        self._hang_up(politely=False)
        given_up = self._note_given_up(error, self._streams.now())
        if self.refused is None and given_up.about in self._exchanges:  # another exchange may fare better
            self._end(self._exchanges[given_up.about], given_up.reason)
        self._ask_again()
        self._events.tell(ServerLost(peer=self.name, reason=given_up.reason, code=given_up.code, pause_s=given_up.pause_s))

    def _ask_again(self) -> None:
        """What has no answer is asked for again, as soon as there is a stream."""
        with self._lock:
            for exchange in self._exchanges.values():
                exchange.is_under_way = False
            self._changed.notify_all()

    def _hang_up(self, politely: bool) -> None:
        if self._remote is not None:
            self._remote.close(politely)
            self._tell_moved(self._remote)
            self._remote = None

    def _tell_moved(self, remote: Remote) -> None:
        sent_bytes, received_bytes = remote.newly_moved()
        if sent_bytes or received_bytes:
            self._events.tell(BytesMoved(peer=self.name, sent_bytes=sent_bytes, received_bytes=received_bytes))


class _Leading:
    """What the thread does that goes on with the connection, whose `_leading` it has acquired. A class: a generator takes long
    beside what is done to send a question."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Let others go on."""
        self._connection._leave(interrupted=error is not None)
