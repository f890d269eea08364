"""The connection to the server: crossing tensors go out, answers come in, whatever happens to sockets in between.

A lost, silent or damaged socket is given up and connected again, after a pause that doubles (with jitter: many edges must
not come back in step); exchanges without an answer are asked for again under their ids. What makes no sense to try again
(another version, a wrong token, an unknown digest) closes the connection for good. When to stop waiting is the caller's to say.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from lmos_opt.profile import TensorSpec
from measurement.codecs import Codec
from runner.client.remote import OPEN_DOOR, Access, ProbeClient, ServerAnswer, Timeouts, check_outputs, checked_answer
from runner.errors import NotOurProtocol, PeerError, ProtocolError, RemoteProtocolError, RunnerError, Untrusted
from runner.machine import Machine
from runner.parts.split import Crossing
from runner.watching.events import NOBODY, Asked, BytesMoved, Events, ServerLost, ServerReady
from runner.wire.agreed_codec import codec_for
from runner.wire.connecting import format_address
from runner.wire.protocol import TRANSIENT, Infer, Open, Received, Result, State
from runner.wire.shaping import Pacer, Shape
from runner.wire.tensors import pack, unpack

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
_STEP_S = 0.5


class Exchange:
    """One image's crossing tensors on their way; `answer` or `failure` says how it ended.

    `t_queue_s` passed before they were sent for the first time, `sent` is how often they were sent. Where there is a codec,
    `t_encode_s` is what it took, before the exchange `began_at`.
    """

    def __init__(self, number: int, crossing: Crossing, codec: Codec | None = None) -> None:
        begin = self.began_at = time.perf_counter()
        headers, self.payload = pack(crossing, codec)
        if codec is not None:
            self.began_at = time.perf_counter()
        self.t_encode_s = self.began_at - begin
        self.kept = crossing.kept
        self.message = Infer(id=number, tensors=headers, scalars=crossing.as_sent())
        self._packed_at = time.perf_counter()
        self.t_queue_s = 0.0
        self.sent = 0
        self.is_under_way = False
        self.answer: ServerAnswer | None = None
        self.ended_at = 0.0
        self.failure: str | None = None

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
        """How many times the question was sent again."""
        return max(self.sent - 1, 0)

    def note_sent(self) -> None:
        """It goes out now."""
        if not self.sent:
            self.t_queue_s = time.perf_counter() - self._packed_at
        self.sent += 1
        self.is_under_way = True


class ServerConnection:
    """The way to one server, for one session.

    Driven by whoever waits, or, inside `driving()`, by a thread of its own. `reason` is why the server was last given up,
    `refused` the error that closed the connection for good. `failures` of sockets have come since the last answer, from
    `first_failure` to `last_failure`. Answers that are not as `expected` are failures of their exchanges alone.
    """

    machine: Machine | None = None
    expected: Mapping[str, TensorSpec] | None = None

    def __init__(self, address: tuple[str, int], request: Open, shape: Shape | Pacer | None, timeouts: Timeouts,
                 access: Access = OPEN_DOOR, seed: int | None = None, events: Events = NOBODY) -> None:  # fmt: skip
        self.name, self._events = format_address(address), events
        self._address, self._request, self._shape, self._timeouts, self._access = address, request, shape, timeouts, access
        self._codec = codec_for(request)
        self._random = random.Random(seed)
        self._remote: ProbeClient | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._crash: BaseException | None = None
        self._wake: int | None = None
        self._again_at = 0.0
        self._strange: str | None = None
        self._is_told_ready = False
        self.was_greeted = False
        self.reason: str | None = None
        self.refused: RunnerError | None = None
        self.failures = 0
        self.first_failure: RunnerError | None = None
        self.last_failure: RunnerError | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server is ready for exchanges."""
        return self._remote is not None and self._remote.state is State.READY

    @property
    def is_asked(self) -> bool:
        """Whether the server was reached, and asked to build the network."""
        return self._remote is not None and self._remote.state in {State.OPENING, State.READY}

    @property
    def has_codec(self) -> bool:
        """Whether tensors are not sent as they are."""
        return self._codec is not None

    def ask(self, number: int, crossing: Crossing, *, as_they_are: bool = False) -> Exchange:
        """Ask, now or as soon as the server can be asked, if need be without the conversation's codec.

        The tensors must stay as they are.
        """
        exchange = Exchange(number, crossing, None if as_they_are else self._codec)
        with self._changed:
            self._exchanges[number] = exchange
        if self._wake is not None:
            os.eventfd_write(self._wake, 1)
        return exchange

    def withdraw(self, exchange: Exchange, failure: str) -> None:
        """Do not wait for the answer any longer. An exchange that is under way is not asked for again."""
        with self._changed:
            self._exchanges.pop(exchange.message.id, None)
            if not exchange.is_over:
                exchange.failure = failure

    def wait(self, exchange: Exchange, until: float) -> bool:
        """Whether the exchange is over, at the latest at `until` (monotonic clock)."""
        if self._thread is None:
            while not exchange.is_over and (left := until - time.monotonic()) > 0 and self.refused is None:
                self.step(left)
            if not exchange.is_over:
                self.step(0.0)
            return exchange.is_over
        with self._changed:
            self._changed.wait_for(lambda: exchange.is_over or self._crash or self.refused,
                                   max(until - time.monotonic(), 0.0))  # fmt: skip
        if self._crash is not None:
            raise self._crash
        return exchange.is_over

    @contextmanager
    def driving(self) -> Iterator[None]:
        """A thread goes on with the connection while the block does other things."""
        stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

        def drive() -> None:
            try:
                while not stop.is_set():
                    self.step(_STEP_S)
            except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
                with self._changed:
                    self._crash = error
                    self._changed.notify_all()

        self._thread = threading.Thread(target=drive, name="connection", daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            stop.set()
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            os.close(self._wake)
            self._thread = self._wake = None

    def close(self, politely: bool) -> None:
        """End the conversation."""
        if self._remote is not None:
            self._remote.close(politely)
            self._tell_moved(self._remote)
            self._remote = None

    def _tell_moved(self, remote: ProbeClient) -> None:
        sent_bytes, received_bytes = remote.newly_moved()
        if sent_bytes or received_bytes:
            self._events.tell(BytesMoved(peer=self.name, sent_bytes=sent_bytes, received_bytes=received_bytes))

    def step(self, timeout_s: float) -> None:
        """Go on for at most `timeout_s`: connect, send what waits, take answers."""
        if self._wake is not None:
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        try:
            remote = self._remote or self._connect(timeout_s)
            if remote is not None:
                while (exchange := self._next(remote)) is not None:
                    exchange.note_sent()
                    remote.ask(exchange.message, exchange.payload)
                    self._events.tell(Asked(peer=self.name, number=exchange.message.id, attempt=exchange.sent,
                                            sent_bytes=sum(part.nbytes for part in exchange.payload)))  # fmt: skip
                received = remote.step(timeout_s, self._wake)
                self._note_progress(remote)
                if received is not None:
                    self._take(received)
                    self._tell_moved(remote)
        except (RunnerError, RemoteProtocolError) as error:
            self._give_up(error)

    def _connect(self, timeout_s: float) -> ProbeClient | None:
        left = self._again_at - time.monotonic()
        if self.refused is not None or left > timeout_s:
            time.sleep(max(timeout_s, 0.0))
            return None
        time.sleep(max(left, 0.0))
        self._is_told_ready = False
        self._remote = ProbeClient(self._address, self._shape, self._timeouts, self._access)
        self._remote.begin_open(self._request)
        return self._remote

    def _note_progress(self, remote: ProbeClient) -> None:
        self.was_greeted = self.was_greeted or remote.was_greeted
        if remote.state is State.READY and not self._is_told_ready:
            self._events.tell(ServerReady(peer=self.name, again=self.machine is not None))
            self.machine, self._is_told_ready = remote.machine, True

    def _next(self, remote: ProbeClient) -> Exchange | None:
        """The exchange to begin now, if there is one and the server takes it."""
        if not remote.can_ask:
            return None
        with self._changed:
            return next((exchange for exchange in self._exchanges.values() if not exchange.is_under_way), None)

    def _take(self, received: Received) -> None:
        message = received.message
        if not isinstance(message, Result):
            return
        with self._changed:
            exchange = self._exchanges.pop(message.id, None)
        if exchange is None:  # it was withdrawn
            return
        try:
            outputs = unpack(message.tensors, received.payload)
            check_outputs(self.name, outputs, self.expected, exchange.kept)
            spent_s = time.perf_counter() - exchange.began_at - exchange.t_queue_s
            answer = checked_answer(self.name, outputs, spent_s, message, exchange.kept)
        except RunnerError as error:
            self._end(exchange, str(error))
            return
        self.failures, self.first_failure, self._strange = 0, None, None
        with self._changed:
            exchange.answer, exchange.ended_at = answer, time.perf_counter()
            self._changed.notify_all()

    def _end(self, exchange: Exchange, failure: str) -> None:
        with self._changed:
            self._exchanges.pop(exchange.message.id, None)
            exchange.failure = failure
            self._changed.notify_all()

    def _give_up(self, error: RunnerError | ProtocolError) -> None:
        """The connection is of no use any more; try another one later, unless that cannot help."""
        failure = error if isinstance(error, RunnerError) else RunnerError(self.name, f"the server left the protocol: {error}")
        self.reason = str(failure)
        if self._remote is not None:
            self.was_greeted = self.was_greeted or self._remote.was_greeted
        self.close(politely=False)
        self.first_failure, self.last_failure = self.first_failure or failure, failure
        about = error.request if isinstance(error, PeerError) else None
        if about is not None:  # another exchange may fare better
            if about in self._exchanges:
                self._end(self._exchanges[about], self.reason)
        elif self._is_final(error):
            self.refused = failure
        with self._changed:
            for exchange in self._exchanges.values():
                exchange.is_under_way = False
            self._changed.notify_all()
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self.failures, 16), LONGEST_PAUSE_S) * self._random.uniform(0.5, 1.0)
        self.failures += 1
        self._again_at = time.monotonic() + pause_s
        self._events.tell(ServerLost(peer=self.name, reason=self.reason, code=error.code if isinstance(error, PeerError) else None,
                                   pause_s=pause_s if self.refused is None else None))  # fmt: skip

    def _is_final(self, error: RunnerError | ProtocolError) -> bool:
        if isinstance(error, NotOurProtocol):  # twice the same is no damage on the way
            self._strange, before = str(error), self._strange
            return before == self._strange
        if isinstance(error, PeerError):
            return error.code not in TRANSIENT
        return isinstance(error, Untrusted)
