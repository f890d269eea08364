"""The connection's table of states, edge by edge, over played streams: no socket, and nobody sleeps."""

from __future__ import annotations

import random
import threading
from itertools import pairwise

import pytest
import torch

from lmos_opt.profile import TensorSpec
from runner.client.reaching import reach
from runner.errors import ConnectionLost, LocalProtocolError, PeerError, RunnerError, Unreachable, Untrusted
from runner.watching.events import Asked, ServerLost, ServerReady
from runner.wire import reconnecting
from runner.wire.protocol import Error, Hello, Infer, Message, Open, Received, Result
from runner.wire.protocol.frames import FrameType
from runner.wire.reconnecting import FIRST_PAUSE_S, LONGEST_PAUSE_S, OVER, TRANSITIONS, Change, State
from runner.wire.tensors import pack
from tests.runner.client.playing import (
    TIMEOUTS,
    Played,
    PlayedStream,
    after,
    hang_up,
    hang_up_inside,
    honest,
    question,
    say_nothing,
    untrusted,
)

NOBODY = Unreachable("192.0.2.1:7070", "connection refused")


def refusing(code: str, about: int | None = None):
    def play(stream: PlayedStream, event: Received) -> None:
        stream.say(Error.of(code, f"for the reason {code}", about))  # type: ignore[arg-type]

    return play


def until(played: Played, state: State) -> None:
    """Step by step, until it stands so."""
    for _ in range(20):
        if played.connection.state is state:
            return
        played.connection.step(0.01)
    raise AssertionError(f"it stands at {played.connection.state}, not at {state}")


# the table -----------------------------------------------------------------------------------------------------------


def test_the_docstring_shows_the_table() -> None:
    """Each state is a row there, with what leads on from it; CLOSED is said to be one step from everywhere."""
    rows = {}
    for line in (reconnecting.__doc__ or "").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] in State.__members__:
            rows[cells[0]] = dict(part.split(": ") for part in cells[2].split("; ") if part)
    table = {state.name: {change.name: to.name for change, to in changes.items() if change is not Change.CLOSED}
             for state, changes in TRANSITIONS.items()}  # fmt: skip
    assert rows == table
    assert all(changes[Change.CLOSED] is State.CLOSED for changes in TRANSITIONS.values())


def test_fault_17_a_server_that_is_asked_has_heard_of_it() -> None:
    """Else it would begin to build its part when this side has built its own, which takes seconds."""
    played = Played(after(1, say_nothing))
    reach(played.connection, "is_asked", TIMEOUTS, may_fail=True)
    assert [type(message) for message in played.streams.streams[0].heard] == [Hello, Open]


def test_the_way_to_an_answer_goes_through_each_state() -> None:
    played = Played(honest)
    seen = [played.connection.state]
    exchange = played.connection.ask(1, question(1))
    while not exchange.is_over:
        played.connection.step(0.01)
        seen.append(played.connection.state)
    assert [one for one, other in pairwise([*seen, None]) if one is not other] == [
        State.AWAY, State.REACHING, State.OPENING, State.READY]  # fmt: skip
    assert exchange.answer is not None
    assert torch.equal(exchange.answer.outputs["output"], torch.full((1, 4), 2.0))
    assert played.connection.was_greeted
    assert [type(message) for message in played.streams.streams[0].heard] == [Hello, Open, Infer]


@pytest.mark.parametrize(("state", "play"), [
    (State.REACHING, after(0, hang_up)), (State.OPENING, after(1, hang_up)), (State.READY, after(2, hang_up)),
])  # fmt: skip
def test_a_lost_stream_leads_back_from_every_state_and_another_one_on(state: State, play) -> None:
    played = Played(play, honest)
    if state is State.READY:
        until(played, State.READY)
    result = played.answer(7)
    assert isinstance(result, torch.Tensor)
    assert result[0, 0] == 14
    lost = [event for event in played.told if isinstance(event, ServerLost)]
    assert len(lost) == 1
    assert len(played.streams.streams) == 2
    assert played.streams.streams[0].is_closed
    assert [event.again for event in played.told if isinstance(event, ServerReady)] == [False, True][: 1 + (state is State.READY)]


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("code", ["token", "refused", "digest", "split", "tensors", "failed"])
def test_a_final_refusal_ends_it_in_every_state(n: int, code: str) -> None:
    played = Played(after(n, refusing(code)), honest)
    assert played.answer(1) is None
    assert played.connection.state is State.REFUSED
    assert isinstance(played.connection.refused, PeerError)
    assert played.connection.refused.code == code
    assert played.connection.was_greeted == (n > 0)
    assert [event.pause_s for event in played.told if isinstance(event, ServerLost)] == [None]
    for _ in range(3):
        played.connection.step(10.0)
    assert len(played.streams.dialled_at) == 1  # nobody tries again


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("code", ["protocol", "busy", "idle", "stopping"])
def test_a_transient_refusal_is_tried_again_from_every_state(n: int, code: str) -> None:
    played = Played(after(n, refusing(code)), honest)
    assert isinstance(played.answer(1), torch.Tensor)
    assert played.connection.refused is None
    assert len(played.streams.dialled_at) == 2


@pytest.mark.parametrize("state", State)
def test_closing_is_one_step_from_every_state_and_the_last(state: State) -> None:
    played = Played(after(2, refusing("failed")) if state is State.REFUSED else honest)
    if state is State.REFUSED:
        played.answer(1)
    elif state is State.CLOSED:
        played.connection.close(politely=True)
    else:
        until(played, state)
    waiting = None if state in OVER else played.connection.ask(5, question(5))
    played.connection.close(politely=True)
    assert played.connection.state is State.CLOSED
    assert all(stream.is_closed for stream in played.streams.streams)
    if waiting is not None:
        assert waiting.failure == "192.0.2.1:7070: the connection is closed"
    played.connection.close(politely=True)
    asked = len(played.streams.dialled_at)
    assert played.answer(6) == "192.0.2.1:7070: the connection is closed"
    played.connection.step(1.0)
    assert len(played.streams.dialled_at) == asked


@pytest.mark.parametrize("state", State)
def test_what_the_table_does_not_allow_is_a_fault_of_ours(state: State) -> None:
    connection = Played().connection
    for change in set(Change) - set(TRANSITIONS[state]):
        connection.state = state
        with pytest.raises(LocalProtocolError, match=f"state {state.name} cannot be {change.name}"):
            connection._move(change)
        assert connection.state is state


# pauses --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pauses_double_up_to_the_longest_with_jitter_from_the_seed(seed: int) -> None:
    played = Played(*[NOBODY] * 9, honest, seed=seed)
    assert isinstance(played.answer(1, within_s=60.0), torch.Tensor)
    jitter = random.Random(seed)
    expected = [min(FIRST_PAUSE_S * 2**k, LONGEST_PAUSE_S) * jitter.uniform(0.5, 1.0) for k in range(9)]
    assert [event.pause_s for event in played.told if isinstance(event, ServerLost)] == expected
    assert [later - sooner for sooner, later in pairwise(played.streams.dialled_at)] == pytest.approx(expected)
    assert played.streams.slept_s == pytest.approx(expected)
    assert (played.connection.failures, played.connection.first_failure) == (0, None)


def test_edges_of_other_seeds_do_not_come_back_in_step() -> None:
    pauses = set()
    for seed in range(5):
        played = Played(NOBODY, honest, seed=seed)
        played.answer(1)
        pauses.add(tuple(played.streams.slept_s))
    assert len(pauses) == 5


def test_after_an_answer_pauses_begin_anew() -> None:
    played = Played(NOBODY, NOBODY, NOBODY, after(3, hang_up), honest)
    assert isinstance(played.answer(1), torch.Tensor)
    assert isinstance(played.answer(2), torch.Tensor)
    lost = [event.pause_s for event in played.told if isinstance(event, ServerLost)]
    assert len(lost) == 4
    assert lost[3] is not None
    assert FIRST_PAUSE_S / 2 <= lost[3] <= FIRST_PAUSE_S


def test_a_pause_is_no_longer_than_who_waits() -> None:
    played = Played(*[NOBODY] * 50)
    begin = played.streams.time
    assert played.answer(1, within_s=3.0) is None
    assert played.streams.time - begin == pytest.approx(3.0)
    assert played.connection.failures > 3
    assert isinstance(played.connection.last_failure, Unreachable)


# asking again --------------------------------------------------------------------------------------------------------


def infers(played: Played) -> list[list[int]]:
    return [[message.id for message in stream.heard if isinstance(message, Infer)] for stream in played.streams.streams]


def test_what_has_no_answer_is_asked_again_under_its_id_and_nothing_else() -> None:
    """The first stream answers question 1 and is lost with 2 and 3 under way."""
    played = Played(after(3, say_nothing), honest)
    assert isinstance(played.answer(1), torch.Tensor)
    two, three = (played.connection.ask(number, question(number)) for number in (2, 3))
    played.connection.step(0.01)
    played.streams.streams[0].shut_down()
    assert played.connection.wait(three, played.streams.time + 10)
    assert played.connection.wait(two, played.streams.time + 10)
    assert infers(played) == [[1, 2, 3], [2, 3]]
    assert (two.sent, two.retries) == (2, 1)
    first, second = (next(m for m in stream.heard if isinstance(m, Infer) and m.id == 2) for stream in played.streams.streams)
    assert first == second
    assert [(event.number, event.attempt) for event in played.told if isinstance(event, Asked)] == [
        (1, 1), (2, 1), (3, 1), (2, 2), (3, 2)]  # fmt: skip
    assert {message.session for stream in played.streams.streams for message in stream.heard if isinstance(message, Open)} == {
        "0" * 32}  # fmt: skip


def test_what_was_withdrawn_is_not_asked_again_and_its_late_answer_is_nobodys() -> None:
    played = Played(after(2, say_nothing), honest)
    until(played, State.READY)
    late = played.connection.ask(1, question(1))
    assert not played.connection.wait(late, played.streams.time + 0.5)
    played.connection.withdraw(late, "no time")
    assert late.failure == "no time"
    headers, payload = pack({"output": torch.ones(1, 4)})
    played.streams.streams[0].say(Result(id=1, tensors=headers, t_server_s=0.0), payload)
    played.connection.step(0.01)
    assert late.answer is None
    played.streams.streams[0].shut_down()
    assert isinstance(played.answer(2), torch.Tensor)
    assert infers(played) == [[1, 2], [2]]  # the second went out before the end of the stream was seen


def test_a_silent_server_is_given_up_after_its_time_and_asked_elsewhere() -> None:
    played = Played(after(2, say_nothing), honest)
    begin = played.streams.time
    assert isinstance(played.answer(1), torch.Tensor)
    assert "no sign of life for 10 s" in str(played.connection.reason)
    assert 10 <= played.streams.time - begin <= 15  # a sign of life was asked for meanwhile


def test_a_question_that_the_server_cannot_answer_ends_alone() -> None:
    played = Played(after(2, refusing("tensors", about=1)), honest)
    until(played, State.READY)
    one, two = (played.connection.ask(number, question(number)) for number in (1, 2))
    assert played.connection.wait(one, played.streams.time + 10)
    assert one.failure == "192.0.2.1:7070: the server refuses: for the reason tensors"
    assert played.connection.wait(two, played.streams.time + 10)
    assert two.answer is not None
    assert played.connection.refused is None
    assert infers(played)[1] == [2]


def test_an_answer_that_is_not_the_networks_fails_alone() -> None:
    played = Played(honest)
    played.connection.expected = {"output": TensorSpec(shape=(1, 5), dtype="float32")}
    assert "got float32[1, 4], expected float32[1, 5]" in str(played.answer(1))
    played.connection.expected = None
    assert isinstance(played.answer(2), torch.Tensor)
    assert len(played.streams.streams) == 1


def test_no_more_questions_are_under_way_than_the_server_takes() -> None:
    played = Played(after(2, say_nothing))
    exchanges = [played.connection.ask(number, question(number)) for number in range(6)]
    for _ in range(20):
        played.connection.step(0.01)
    assert infers(played) == [[0, 1, 2, 3]]
    assert [exchange.is_under_way for exchange in exchanges] == [True] * 4 + [False] * 2


# what must not happen ------------------------------------------------------------------------------------------------


def _result(number: int) -> tuple[Message, list[memoryview]]:
    headers, payload = pack({"output": torch.ones(1, 4)})
    return Result(id=number, tensors=headers, t_server_s=0.0), payload


@pytest.mark.parametrize("place", [0, 10, 40, -1])
def test_a_damaged_frame_is_no_answer_and_the_question_is_asked_again(place: int) -> None:
    """One byte in the beginning, the lengths, the header or the payload is another one."""

    def damage(stream: PlayedStream, event: Received) -> None:
        message, payload = _result(1)
        frame = bytearray(b"".join(bytes(part) for part in stream.server.send(message, payload)))
        frame[place] ^= 0xFF
        stream.send_bytes(bytes(frame))

    played = Played(after(2, damage), honest)
    answer = played.answer(1)
    assert isinstance(answer, torch.Tensor)
    assert answer[0, 0] == 2  # the honest server's
    assert infers(played) == [[1], [1]]
    said = "what answers there is no lmos server" if place == 0 else "the server broke the protocol"
    assert f"192.0.2.1:7070: {said}" in str(
        next(event.reason for event in played.told if isinstance(event, ServerLost)))  # fmt: skip


def test_a_message_that_is_cut_is_a_lost_connection_and_the_question_is_asked_again() -> None:
    played = Played(after(2, hang_up_inside), honest)
    assert isinstance(played.answer(1), torch.Tensor)
    assert infers(played) == [[1], [1]]
    (lost,) = (event.reason for event in played.told if isinstance(event, ServerLost))
    assert lost == "192.0.2.1:7070: the peer closed the connection inside a message"
    assert isinstance(played.connection.last_failure, ConnectionLost)


def test_what_is_no_server_is_believed_the_second_time() -> None:
    def http(stream: PlayedStream, event: Received) -> None:
        stream.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    played = Played(http, http, honest)
    assert played.answer(1) is None
    assert played.connection.state is State.REFUSED
    assert len(played.streams.streams) == 2


def test_a_reused_id_is_a_fault_of_ours_while_the_first_waits() -> None:
    played = Played(honest, honest)
    first = played.connection.ask(1, question(1))
    with pytest.raises(LocalProtocolError, match="question 1 is asked while it waits for its answer"):
        played.connection.ask(1, question(9))
    assert played.connection.wait(first, played.streams.time + 10)
    assert first.answer is not None
    assert first.answer.outputs["output"][0, 0] == 2
    assert isinstance(played.answer(1), torch.Tensor)  # its answer has come: the id is free


def test_a_reused_id_in_an_answer_is_the_peers_fault() -> None:
    def twice(stream: PlayedStream, event: Received) -> None:
        honest(stream, event)
        message, payload = _result(1)
        stream.server._waiting[FrameType.INFER].add(1)  # an honest server could not say it again
        stream.say(message, payload)

    played = Played(after(2, twice), honest)
    assert isinstance(played.answer(1), torch.Tensor)
    assert isinstance(played.answer(2), torch.Tensor)
    assert "RESULT 1 answers nothing" in str(next(event.reason for event in played.told if isinstance(event, ServerLost)))


def test_tls_that_is_not_trusted_ends_it() -> None:
    """Another attempt would be refused for the same reason, and says as little to whoever listens."""
    played = Played(honest)
    played.connection.step(0.01)  # there is a stream, and nothing was sent over it yet
    played.streams.streams[0].fault = untrusted()
    assert played.answer(1) is None
    assert played.connection.state is State.REFUSED
    assert isinstance(played.connection.refused, Untrusted)
    assert str(played.connection.refused).endswith("the peer's certificate is not trusted: self-signed certificate")
    assert played.streams.streams[0].heard == []


def test_where_no_thread_can_be_had_it_is_said_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    played, before = Played(honest), threading.active_count()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RunnerError, match=r"no thread can be started for the connection: can't start new thread"):  # noqa: SIM117
            with played.connection.driving():
                raise AssertionError("nobody drives")
    assert threading.active_count() == before
    assert isinstance(played.answer(1), torch.Tensor)  # whoever waits goes on with it


def test_an_interrupted_stream_is_given_up_since_nobody_knows_what_was_sent() -> None:
    def interrupt(stream: PlayedStream, event: Received) -> None:
        raise KeyboardInterrupt

    played = Played(after(2, interrupt), honest)
    exchange = played.connection.ask(1, question(1))
    with pytest.raises(KeyboardInterrupt):
        played.connection.wait(exchange, played.streams.time + 10)
    assert played.connection.state is State.AWAY
    assert played.streams.streams[0].is_closed
    assert played.connection.wait(exchange, played.streams.time + 10)
    assert exchange.answer is not None
    assert infers(played)[1] == [1]


# several threads -----------------------------------------------------------------------------------------------------


def test_several_threads_share_one_connection() -> None:
    """One of those that wait goes on with it for all; when its own answer is there, another one does."""
    played, found = Played(honest), {}

    def ask(number: int) -> None:
        found[number] = played.answer(number, within_s=1e9)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert {number: float(answer[0, 0]) for number, answer in found.items()} == {k: 2.0 * k for k in range(40)}
    assert len(played.streams.streams) == 1


def test_closing_ends_the_waiting_of_other_threads() -> None:
    played = Played(after(2, say_nothing))
    until(played, State.READY)
    exchange, waits = played.connection.ask(1, question(1)), threading.Event()
    real_wait = played.streams.streams[0].wait

    def wait(timeout_s: float, **kinds):
        waits.set()
        return real_wait(0.0, **kinds)

    played.streams.streams[0].wait = wait  # type: ignore[method-assign]
    thread = threading.Thread(target=played.connection.wait, args=(exchange, 1e12))
    thread.start()
    assert waits.wait(10)
    played.connection.close(politely=False)
    thread.join(10)
    assert not thread.is_alive()
    assert exchange.failure is not None
