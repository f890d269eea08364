"""One peer at the server, message by message, over a channel that plays the peer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from lmos_opt.profile import NetworkSource, TensorSpec
from runner.errors import ConnectionLost, PeerTooSlow, RemoteProtocolError
from runner.faults.limits import Budget, Buffers, Limits
from runner.faults.refusal import Refusal
from runner.machine import this_machine
from runner.places.answers import Responder, Took
from runner.places.conversation import Conversation, Shared
from runner.places.served import TailAnswer
from runner.watching.events import AnswerSent, Event, Events, PeerGreeted, PeerLeft, PeerOpened, PeerRefused
from runner.wire.protocol import (
    Bye,
    Closed,
    Connection,
    Echo,
    Error,
    Hello,
    Infer,
    Message,
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

HELLO = Hello(software="a test")
OPEN = Open(session="0" * 32, network=NetworkSource(builder="torchvision:alexnet", weights="seeded:0", digest="sha256:" + "0" * 64),
            granularity="module", input=TensorSpec(shape=(1, 3, 8, 8), dtype="float32"), edge_layers=(), codec="raw")  # fmt: skip


class Played:
    """A channel: gives what the peer says, in turn, and keeps what is said to it. An exception among it is raised."""

    name = "there:7070"
    has_waited = False

    def __init__(self, said: Sequence[Message | Exception]) -> None:
        self.connection = Connection(Role.SERVER)
        self._said = list(said)
        self.heard: queue.Queue[Message] = queue.Queue()
        self.answers = 0
        self.is_closed = False

    def receive(self, timeout_s: float, *, alone: bool = False) -> Received | Closed:
        if not self._said:
            return Closed()
        said = self._said.pop(0)
        if isinstance(said, Exception):
            raise said
        return Received(said, memoryview(b""), (said.id if isinstance(said, Infer) else 0, 0))

    def send(self, message: Message, payload: Sequence[memoryview] = ()) -> None:
        self.heard.put(message)
        if isinstance(message, Error):
            self.connection.state = State.CLOSED

    def close(self, linger_s: float) -> None:
        self.is_closed = True

    def stop_reading(self) -> None:
        self._said.clear()

    shut_down = stop_reading

    def newly_moved(self) -> tuple[int, int]:
        return 0, 0


class Tail:
    """Answers every image with nothing, and counts."""

    request_bytes = result_bytes = 0
    onward = None
    error, remarks = None, ()

    def __init__(self) -> None:
        self.computed: list[int] = []

    def begin(self, request: Infer, payload: memoryview) -> Callable[[], TailAnswer]:
        self.computed.append(request.id)
        if request.id == 13:
            raise Refusal("failed", "the tail failed")
        return lambda: TailAnswer((), [], Took(0.5, 0.25), 0.0)


class Opening:
    def __init__(self, tail: Tail) -> None:
        self.open: Callable[[Open, object, str], Tail] = lambda request, onward, host: tail


def talk(*said: Message | Exception, token: str | None = None, has_room: bool = True,
         answers: Responder | None = None) -> tuple[list[Message], list[Event], Tail]:  # fmt: skip
    """What the server says to all this, what it tells its observers, and the tail that computed."""
    told: list[Event] = []
    tail, channel = Tail(), Played(said)
    conversation_over(channel, told, tail, token, has_room, answers).run()
    assert channel.is_closed
    return list(channel.heard.queue), told, tail


def conversation_over(channel: Played, told: list[Event], tail: Tail | None = None, token: str | None = None, has_room: bool = True,
                      answers: Responder | None = None) -> Conversation:  # fmt: skip
    shared = Shared(Opening(tail or Tail()), answers or Responder(), Budget(1000), Limits(), this_machine(1), token,  # type: ignore[arg-type]
                    lambda _: has_room, lambda: False, lambda conversation, session: None, Events([told.append]))
    return Conversation(channel, channel.connection, Buffers(shared.budget), shared)  # type: ignore[arg-type]


def infer(number: int) -> Infer:
    return Infer(id=number, tensors=(), scalars={})


def kinds(said: Sequence[object]) -> list[type]:
    return [type(one) for one in said]


def test_from_the_greeting_to_the_farewell() -> None:
    said, told, tail = talk(HELLO, OPEN, infer(1), infer(2), Bye())
    assert kinds(said) == [Welcome, Ready, Result, Result]
    assert [one.id for one in said if isinstance(one, Result)] == tail.computed == [1, 2]
    assert (said[2].t_server_s, said[2].t_decode_s) == (0.5, 0.25)  # type: ignore[attr-defined]
    assert sorted(kind.__name__ for kind in kinds(told)) == sorted(
        kind.__name__ for kind in (PeerGreeted, PeerOpened, AnswerSent, AnswerSent, PeerLeft))  # fmt: skip
    assert next(event.how for event in told if isinstance(event, PeerLeft)) == "done"


def test_pings_and_probes_are_answered_by_the_thread_that_reads() -> None:
    said, _, _ = talk(HELLO, Ping(id=5), Probe(id=6, probe_bytes=0, echo_bytes=3))
    assert kinds(said) == [Welcome, Pong, Echo]
    assert (said[1].id, said[2].id, said[2].echo_bytes) == (5, 6, 3)  # type: ignore[attr-defined]


class Patient(Played):
    """Says the next thing when what was asked is done."""

    conversation: Conversation

    def receive(self, timeout_s: float, *, alone: bool = False) -> Received | Closed:
        while self.conversation._put_off != self.conversation._worked_off:
            time.sleep(0.0005)
        return super().receive(timeout_s, alone=alone)


@pytest.mark.parametrize(("t_server_s", "has_waited", "n_bytes", "by_reading"), [
    (0.001, True, 0, [False, True, True]), (0.001, False, 0, [False, False, False]), (0.5, True, 0, [False, False, False]),
    (0.001, True, 2**20, [False, False, False]), (0.0009, True, 2**20, [False, True, True]),
    (0.0009, False, 0, [False, True, True]), (0.0009, False, 2**20, [False, False, False]),
])  # fmt: skip
def test_who_reads_computes_what_is_brief_where_nothing_else_waits(t_server_s: float, has_waited: bool, n_bytes: int,
                                                                  by_reading: list[bool]) -> None:  # fmt: skip
    threads = []

    class Brief(Tail):
        is_at_work = False

        def begin(self, request: Infer, payload: memoryview) -> Callable[[], TailAnswer]:
            threads.append(threading.current_thread())
            return lambda: TailAnswer((), [], Took(t_server_s), 0.0)

    class Large(Patient):
        def receive(self, timeout_s: float, *, alone: bool = False) -> Received | Closed:
            found = super().receive(timeout_s, alone=alone)
            return found if isinstance(found, Closed) else found._replace(payload=memoryview(bytes(n_bytes)))

    channel = Large([HELLO, OPEN, infer(1), infer(2), infer(3), Bye()])
    channel.has_waited = has_waited
    shared = Shared(Opening(Brief()), Responder(), Budget(2**22), Limits(), this_machine(1), None,  # type: ignore[arg-type]
                    lambda _: True, lambda: False, lambda conversation, session: None, Events())  # fmt: skip
    channel.conversation = Conversation(channel, channel.connection, Buffers(shared.budget), shared)  # type: ignore[arg-type]
    channel.conversation.run()
    assert [one.id for one in channel.heard.queue if isinstance(one, Result)] == [1, 2, 3]
    assert [thread is threading.current_thread() for thread in threads] == by_reading


def test_the_same_image_of_a_session_is_computed_once() -> None:
    answers = Responder()
    _, _, first = talk(HELLO, OPEN, infer(1), answers=answers)
    said, told, again = talk(HELLO, OPEN, infer(1), infer(2), answers=answers)
    assert (first.computed, again.computed) == ([1], [2])
    assert kinds(said) == [Welcome, Ready, Result, Result]
    assert [event.again for event in told if isinstance(event, AnswerSent)] == [True, False]


def test_the_same_bytes_for_another_plan_are_another_question() -> None:
    """Whatever the edge calls it: weights, cut and codec decide what the answer is."""
    answers = Responder()
    talk(HELLO, OPEN, infer(1), answers=answers)
    weights = OPEN.network.model_copy(update={"weights": "seeded:1"})
    for change in ({"network": weights}, {"edge_layers": ("features.0",)}, {"codec": "int8"}):
        assert talk(HELLO, OPEN.model_copy(update=change), infer(1), answers=answers)[2].computed == [1], change


@pytest.mark.parametrize(("token", "reason"), [(None, "this server wants a token (--token-file), and none came"),
                                               ("wrong", "the token is wrong")])  # fmt: skip
def test_a_token_that_is_missing_or_wrong_is_refused(token: str | None, reason: str) -> None:
    said, told, _ = talk(HELLO.model_copy(update={"token": token}), OPEN, token="right")
    assert [(one.code, one.message) for one in said if isinstance(one, Error)] == [("token", reason)]
    assert kinds(said) == [Error]
    assert kinds(told) == [PeerRefused]
    assert kinds(talk(HELLO.model_copy(update={"token": "right"}), token="right")[0]) == [Welcome]


def test_where_there_is_no_room_the_peer_is_told_so() -> None:
    (said,), _, _ = talk(HELLO, has_room=False)
    assert isinstance(said, Error)
    assert (said.code, said.message) == ("busy", "16 peers are being served; try again later")


def test_an_image_that_cannot_be_computed_ends_the_conversation_and_names_the_image() -> None:
    said, _, tail = talk(HELLO, OPEN, infer(13), infer(14))
    assert kinds(said) == [Welcome, Ready, Error]
    assert (said[2].code, said[2].id) == ("failed", 13)  # type: ignore[attr-defined]
    assert tail.computed == [13]


@pytest.mark.parametrize(("error", "code"), [
    (RemoteProtocolError("nonsense"), "protocol"), (PeerTooSlow("there", "silent"), "idle"),
])  # fmt: skip
def test_a_peer_that_leaves_the_protocol_or_falls_silent_is_told_why(error: Exception, code: str) -> None:
    said, told, _ = talk(HELLO, error)
    assert [one.code for one in said if isinstance(one, Error)] == [code]
    assert kinds(told) == [PeerGreeted, PeerRefused]


def test_a_peer_whose_message_a_stopping_server_cuts_is_told_that_it_stops() -> None:
    class Stopped(Played):
        def receive(self, timeout_s: float, *, alone: bool = False) -> Received | Closed:
            if not self._said:
                conversation.stop()
                raise ConnectionLost(self.name, "the peer closed the connection inside a message")
            return super().receive(timeout_s, alone=alone)

    told: list[Event] = []
    channel = Stopped([HELLO, OPEN, infer(1)])
    conversation = conversation_over(channel, told)
    conversation.run()
    assert [one.code for one in channel.heard.queue if isinstance(one, Error)] == ["stopping"]
    assert [event.code for event in told if isinstance(event, PeerRefused)] == ["stopping"]


def test_a_peer_that_is_gone_is_told_nothing() -> None:
    said, told, _ = talk(HELLO, ConnectionLost("there", "reset"))
    assert kinds(said) == [Welcome]
    assert [event.how for event in told if isinstance(event, PeerLeft)] == ["lost"]
    assert [event.how for event in talk(HELLO)[1] if isinstance(event, PeerLeft)] == ["gone"]
