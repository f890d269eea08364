"""A server's conversation with one peer. One thread reads and computes brief parts, one computes, one waits for later places."""

from __future__ import annotations

import contextlib
import hmac
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from measurement import codecs
from runner.errors import ConnectionLost, LocalProtocolError, PeerTooSlow, RemoteProtocolError, Untrusted
from runner.faults.limits import Budget, Buffers, Limits, Throttle
from runner.faults.refusal import Refusal
from runner.machine import SOFTWARE, Machine
from runner.places.answers import LARGEST_KEPT_BYTES, Asker, Responder, Stored
from runner.places.onward import Onward, Onwards, Surveyor
from runner.places.served import ServedPlan, TailAnswer
from runner.places.tail import Networks
from runner.watching.events import (
    AnswerSent,
    Events,
    PeerBytesMoved,
    PeerGreeted,
    PeerLeft,
    PeerOpened,
    PeerRefused,
    shown,
)
from runner.wire.protocol import (
    CAPABILITIES,
    Bye,
    Closed,
    Connection,
    Echo,
    Error,
    Hello,
    Infer,
    Measure,
    Measured,
    Open,
    Ping,
    Pong,
    Probe,
    Ready,
    Received,
    State,
    Welcome,
    repeated,
)
from runner.wire.protocol.messages import ONWARD
from runner.wire.transport import LINGER_S, Channel

_NOTHING = memoryview(bytes(2**22))
BRIEF_S, SMALL_BYTES = (0.0, 0.001, 0.02), 2**16
"""The reading thread computes a question itself if the last one took less time (s): less than the last limit if the question has at
most SMALL_BYTES and the thread had waited for it, than the middle one if one of the two is true, and never if none is. To wake
another thread can take longer than the part. Meanwhile a PING, or the next question, waits in the socket."""
_ENDS = (Refusal, ConnectionLost, LocalProtocolError)


@dataclass(frozen=True)
class Shared:
    """What all conversations of a server share.

    `enter` asks for a place, after the peer's first message. `is_alone` says whether no other peer has one. `take_over` is called
    with the session that goes on, and ends the conversation that had it before: its connection is lost, or the edge would not be
    back.
    """

    networks: Networks
    answers: Responder
    budget: Budget
    limits: Limits
    machine: Machine
    token: str | None
    enter: Callable[[Conversation], bool]
    is_alone: Callable[[], bool]
    take_over: Callable[[Conversation, str], None]
    events: Events
    onwards: Onwards = field(default_factory=Onwards)


class _Begun(NamedTuple):
    """A question whose part is computed: what gives the answer (None: it is `stored`), and how long it waited until then."""

    request: Infer
    event: Received
    came_at: float
    waited_s: float
    stored: Stored | None
    answer: Callable[[], TailAnswer] | None


class Conversation:
    """One peer's conversation, from the first byte to the last. The reading thread calls `run`."""

    def __init__(self, channel: Channel[Connection], connection: Connection, buffers: Buffers, shared: Shared) -> None:
        self.channel, self._connection, self._buffers, self._shared = channel, connection, buffers, shared
        self._work: queue.SimpleQueue[tuple[float, Received] | None] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._tail: ServedPlan | None = None
        self._put_off = self._worked_off = 0  # what the computing thread was given, and has done
        self._took_s = math.inf
        self._begun: queue.SimpleQueue[_Begun | None] = queue.SimpleQueue()
        self._finisher: threading.Thread | None = None
        self._onward: Onward | None = None
        self._prober: threading.Thread | None = None
        self._surveyor: Surveyor | None = None
        self._asker = Asker("")
        self._stopping = False

    def run(self) -> None:
        """Talk until the conversation ends. The peer is told why it ends, if that is possible."""
        try:
            try:
                self._read()
            except ConnectionLost:
                if not self._stopping:  # else reading was ended here, perhaps inside a message
                    raise
            finally:
                self._work.put(None)
                self._let_go()
            if self._stopping:
                self._say_why(Refusal("stopping", "the server is being stopped"))
        except Refusal as refusal:
            self._say_why(refusal)
        except RemoteProtocolError as error:
            self._say_why(Refusal("protocol", error))
        except LocalProtocolError:
            if self._connection.state is not State.CLOSED:  # the computing thread ended it while this one was about to answer
                raise
        except PeerTooSlow as error:
            self._say_why(Refusal("idle", error.message))
        except ConnectionLost as error:
            self._tell_left("untrusted" if isinstance(error, Untrusted) else "lost", str(error))
        finally:
            self.channel.close(linger_s=LINGER_S)
            self._buffers.close()
            self._tell_moved()

    def _let_go(self) -> None:
        """What was asked is answered, or kept for when it is asked again; the next place is asked nothing more."""
        for thread in (self._worker, self._prober):
            if thread is not None:
                thread.join()
        if self._onward is not None:
            self._shared.onwards.release(self._onward)
        if self._surveyor is not None:
            self._surveyor.close()

    @property
    def waiting(self) -> int:
        """How many questions have come, and are not begun."""
        return self._work.qsize()

    def stop(self) -> None:
        """Read no further message, answer what was asked, and tell the peer. Any thread may call it."""
        self._stopping = True
        self.channel.stop_reading()

    def give_way(self) -> None:
        """End now. An answer that is being computed is kept for the peer's next question. Any thread may call it."""
        self._tell_left("came back")
        self.channel.shut_down()

    def tell_unfinished(self, waited_s: float) -> None:
        """Note that the server ends before this conversation, after it waited `waited_s` (s)."""
        self._tell_left("unfinished", f"{self.channel.name}: not finished within {waited_s:g} s")

    def _read(self) -> None:
        limits, throttle = self._shared.limits, Throttle(self._shared.limits.requests_per_s)
        while True:
            event = self.channel.receive(limits.greeting_s if self._worker is None else limits.idle_s,
                                         alone=self._shared.is_alone())  # fmt: skip
            if isinstance(event, Closed):
                self._tell_left("gone")
                return
            message = event.message
            if isinstance(message, Infer):
                throttle.wait()
                self._infer(message, event)
            elif isinstance(message, Hello):
                self._greet(message)
            elif isinstance(message, Ping):
                self.channel.send(Pong(id=message.id))
            elif isinstance(message, Bye):
                self._tell_left("done")
                return
            else:
                throttle.wait()
                if isinstance(message, Probe):
                    self._echo(message, event)
                else:
                    self._put(event)

    def _greet(self, hello: Hello) -> None:
        wanted = self._shared.token
        if wanted is not None:
            if hello.token is None:
                raise Refusal("token", "this server wants a token (--token-file), and none came")
            if not hmac.compare_digest(hello.token.encode(), wanted.encode()):
                raise Refusal("token", "the token is wrong")
        if not self._shared.enter(self):
            raise Refusal("busy", f"{self._shared.limits.connections} peers are being served; try again later")
        self._shared.events.tell(PeerGreeted(peer=self.channel.name, software=hello.software))
        capabilities = (*CAPABILITIES, *([ONWARD] if self._shared.onwards.is_known else []), *codecs.capabilities())
        self.channel.send(Welcome(software=SOFTWARE, capabilities=capabilities,
                                  window=self._shared.limits.window, idle_s=self._shared.limits.idle_s))  # fmt: skip

    def _echo(self, probe: Probe, event: Received) -> None:
        if probe.hop > 1:
            self._prober = self._started(lambda: self._probe_onward(probe), "probing")
            return
        begin = time.perf_counter()
        self._buffers.give_back(event.payload)
        self.channel.send(Echo(id=probe.id, echo_bytes=probe.echo_bytes, t_server_s=time.perf_counter() - begin),
                          [_NOTHING[: probe.echo_bytes]])  # fmt: skip

    def _probe_onward(self, probe: Probe) -> None:
        """In a thread of its own: the peer is heard meanwhile. The protocol allows it one at a time."""
        try:
            self._surveyor = self._surveyor or self._shared.onwards.surveyor()
            t_hop_s, t_server_s = self._surveyor.probe(probe)
            self.channel.send(Echo(id=probe.id, echo_bytes=probe.echo_bytes, t_server_s=t_server_s, t_hop_s=t_hop_s))
        except _ENDS as error:
            self._end_for(error, None)

    def _infer(self, request: Infer, event: Received) -> None:
        """Compute and answer here, or leave it to the computing thread."""
        tail = self._tail
        is_brief = self._took_s < BRIEF_S[self.channel.has_waited + (event.payload.nbytes <= SMALL_BYTES)]
        if not is_brief or self._put_off != self._worked_off or tail is None or tail.onward is not None or tail.is_at_work:
            self._put(event)
            return
        try:
            self._finish(self._begin(tail, request, event, time.perf_counter()))
        except _ENDS as error:
            self._end_for(error, request.id)

    # the computing thread --------------------------------------------------------------------------------------------

    def _put(self, event: Received) -> None:
        if self._worker is None:
            self._worker = self._started(self._compute, "computing")
        self._put_off += 1
        self._work.put((time.perf_counter(), event))

    def _started(self, target: Callable[[], None], what: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"{self.channel.name} {what}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise Refusal("busy", f"no thread can be started: {error}; try again later") from None
        return thread

    def _compute(self) -> None:
        try:
            self._work_off()
        except BaseException:
            self.channel.shut_down()  # or the edge would wait for what nobody computes any more
            raise
        finally:
            self._begun.put(None)
            if self._finisher is not None:
                self._finisher.join()

    def _work_off(self) -> None:
        while (work := self._work.get()) is not None:
            came_at, event = work
            try:
                if isinstance(event.message, Open):
                    self._tail = self._open(event.message)
                elif isinstance(event.message, Measure):
                    self._measure(event.message)
                elif isinstance(event.message, Infer):
                    assert self._tail is not None
                    begun = self._begin(self._tail, event.message, event, came_at)
                    if self._tail.onward is None:
                        self._finish(begun)
                    else:
                        self._begun.put(begun)
            except _ENDS as error:
                self._end_for(error, event.message.id if isinstance(event.message, Infer) else None)
                return
            finally:
                self._worked_off += 1

    def _finish_all(self) -> None:
        """Send answers as they come from the place beyond, in the order of their questions; keep those that nobody takes."""
        try:
            while (begun := self._begun.get()) is not None:
                try:
                    self._finish(begun)
                except _ENDS as error:
                    self._end_for(error, begun.request.id)
        except BaseException:
            self.channel.shut_down()
            raise

    def _end_for(self, error: Exception, asked: int | None) -> None:
        """The conversation ends where it was at work for a question, whose peer is told why if it still listens."""
        if isinstance(error, Refusal):
            self._say_why(error, asked)
            self.channel.stop_reading()
        elif isinstance(error, ConnectionLost):
            self._tell_left("lost", str(error))
            self.channel.shut_down()
        elif self._connection.state is not State.CLOSED:  # else the peer took its leave without waiting for its answers
            raise error

    def _measure(self, request: Measure) -> None:
        layers, timing = self._shared.networks.measure(request)
        self.channel.send(Measured(id=request.id, layers=layers, timing=timing, machine=self._shared.machine))

    def _open(self, request: Open) -> ServedPlan:
        begin = time.perf_counter()
        self._shared.take_over(self, request.session)
        onward = self._onward = self._shared.onwards.acquire(request)
        if onward is not None:
            onward.begin()
        tail = self._shared.networks.open(request, onward, self.channel.name.rpartition(":")[0])
        if onward is not None:
            onward.make_ready()
            self._finisher = self._started(self._finish_all, "finishing")
        self._connection.payload_limit = tail.request_bytes
        self._asker = Asker.of(request)
        self._shared.events.tell(PeerOpened(
            peer=self.channel.name, session=shown(request.session), network=request.network.builder,
            weights=request.network.weights, digest=shown(request.network.digest), cut=len(request.edge_layers),
            t_open_s=time.perf_counter() - begin, error=tail.error, remarks=tail.remarks,
        ))  # fmt: skip
        self.channel.send(Ready(result_bytes=tail.result_bytes, machine=self._shared.machine.remarked(tail.remarks),
                                beyond=() if onward is None else onward.machines))  # fmt: skip
        return tail

    def _begin(self, tail: ServedPlan, request: Infer, event: Received, came_at: float) -> _Begun:
        answers = self._shared.answers
        stored, answer = answers.claim(self._asker, request.id, event.seal), None
        waited_s = 0.0 if stored else time.perf_counter() - came_at
        if stored is None:
            try:
                answer = tail.begin(request, event.payload)
            except BaseException:
                answers.keep(self._asker, request.id, None)
                raise
        return _Begun(request, event, came_at, waited_s, stored, answer)

    def _finish(self, begun: _Begun) -> None:
        """Answer; and keep the answer, for when it is asked for again. Who does that before it is kept waits in `claim`."""
        if (found := begun.stored) is not None:
            self._send(begun, TailAnswer(found.tensors, [memoryview(found.payload)], found.took, 0.0, found.beyond, found.held))
            self._buffers.give_back(begun.event.payload)
            return
        assert begun.answer is not None
        stored = None
        try:
            made = begun.answer()
            try:
                self._send(begun, made)
            finally:
                if sum([part.nbytes for part in made.parts]) <= LARGEST_KEPT_BYTES:
                    stored = Stored(made.tensors, b"".join(made.parts), made.took, made.beyond, made.held)
        finally:
            self._shared.answers.keep(self._asker, begun.request.id, stored)
        self._took_s = made.took.t_server_s
        self._buffers.give_back(begun.event.payload)  # the outputs may have been views of it

    def _send(self, begun: _Begun, made: TailAnswer) -> None:
        number, took, answered_at = begun.request.id, made.took, time.perf_counter()
        self.channel.send(repeated.result(number, made.tensors, made.beyond, made.held, *took,
                                          t_queue_s=begun.waited_s + made.waited_s), made.parts)  # fmt: skip
        self._shared.events.tell(AnswerSent(
            peer=self.channel.name, session=shown(self._asker.session), number=number, again=begun.stored is not None,
            t_queue_s=max(answered_at - begun.came_at - (0.0 if begun.stored else took.t_server_s), 0.0),
            t_server_s=took.t_server_s, t_decode_s=took.t_decode_s, received_bytes=begun.event.payload.nbytes,
            sent_bytes=sum([part.nbytes for part in made.parts]),
        ))  # fmt: skip
        self._tell_moved()

    def _say_why(self, refusal: Refusal, request: int | None = None) -> None:
        """One line in the log, the same line to the peer if it still listens."""
        if self._connection.state is State.CLOSED:  # it was said, or there is nobody to say it to
            return
        message = Error.of(refusal.code, refusal, request)
        self._shared.events.tell(PeerRefused(peer=self.channel.name, code=refusal.code, reason=message.message, number=request))
        with contextlib.suppress(ConnectionLost, LocalProtocolError):
            self.channel.send(message)

    def _tell_left(self, how: str, reason: str | None = None) -> None:
        self._shared.events.tell(PeerLeft(peer=self.channel.name, how=how, had_asked=self._worker is not None, reason=reason))

    def _tell_moved(self) -> None:
        sent_bytes, received_bytes = self.channel.newly_moved()
        if sent_bytes or received_bytes:
            self._shared.events.tell(PeerBytesMoved(peer=self.channel.name, sent_bytes=sent_bytes, received_bytes=received_bytes))
