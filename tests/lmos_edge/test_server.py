"""The way to a server over played streams: every fault of a stream, and the same question asked again."""

from __future__ import annotations

from collections import deque
from random import Random

import numpy as np
import pytest

from lmos_edge.plans import Plan
from lmos_edge.server import Exchange, Happened, Server, Way
from runner.errors import ConnectionLost, Unreachable
from runner.wire.protocol import Error, Infer, Open, Ping
from runner.wire.reconnecting import State
from tests.lmos_edge.conftest import Export
from tests.runner.client.playing import (
    ADDRESS,
    TIMEOUTS,
    Play,
    PlayedStreams,
    after,
    hang_up,
    hang_up_inside,
    honest,
    say_nothing,
    untrusted,
)


class Played:
    """A server over played streams, and what it told."""

    def __init__(self, export: Export, *plays: Play | Exception) -> None:
        self.streams = PlayedStreams(deque(plays))
        self.told: list[Happened] = []
        way = Way(TIMEOUTS, tell=self.told.append, streams=self.streams, random=Random(0))
        self.plan = Plan.load(export.file)
        self.server = Server(ADDRESS, self.plan, way)

    def answer(self, number: int, within_s: float = 30.0) -> float | str | None:
        """The answer to a question, or why there is none; None where it takes longer."""
        exchange = Exchange(number, {"input": np.full((1, 4), number, np.float32)}, self.plan)
        self.server.ask(exchange)
        self.server.wait(exchange, self.streams.time + within_s)
        if exchange.answer is None:
            return exchange.failure
        return float(exchange.answer[1]["output"][0, 0])

    def sent(self, kind: type) -> list[object]:
        """The messages of a kind, stream by stream."""
        return [message for stream in self.streams.streams for message in stream.heard if isinstance(message, kind)]


def test_a_server_is_reached_or_what_keeps_it_away_is_raised(export: Export) -> None:
    played = Played(export, honest)
    played.server.reach(State.READY, may_fail=False)
    assert played.server.state is State.READY
    with pytest.raises(Unreachable, match="connection refused"):
        Played(export).server.reach(State.OPENING, may_fail=True)
    with pytest.raises(ConnectionLost, match="closed the connection"):
        Played(export, *[hang_up] * 9).server.reach(State.OPENING, may_fail=True)
    greeted = Played(export, after(1, hang_up))
    greeted.server.reach(State.READY, may_fail=True)  # the images will be finished here
    assert greeted.server.state is State.AWAY


def test_questions_are_answered_in_turn(export: Export) -> None:
    played = Played(export, honest)
    assert [played.answer(k) for k in (1, 2, 3)] == [2, 4, 6]
    played.server.close(politely=True)
    assert played.streams.streams[0].is_closed
    assert not played.told


def test_what_was_lost_is_asked_again_with_the_same_session_and_bytes(export: Export) -> None:
    played = Played(export, after(2, hang_up), after(1, hang_up), honest)
    assert played.answer(1) == 2
    first, *others = played.sent(Infer)
    assert others == [first]
    assert len({message.session for message in played.sent(Open)}) == 1  # type: ignore[attr-defined]
    assert [one.event for one in played.told] == ["server_lost", "server_lost", "server_ready", "asked"]


def test_damage_is_a_lost_stream(export: Export) -> None:
    def damage(stream: object, event: object) -> None:
        stream.send_bytes(b"LMOS\x02" + bytes(27))  # type: ignore[attr-defined]

    played = Played(export, after(2, damage), honest)
    assert played.answer(1) == 2
    assert "the server broke the protocol" in played.told[0].text


def test_a_message_that_is_cut_is_a_lost_connection(export: Export) -> None:
    played = Played(export, after(2, hang_up_inside), honest)
    assert played.answer(1) == 2
    assert f"{played.server.name}: the peer closed the connection inside a message; trying again" in played.told[0].text


def test_a_silent_server_is_asked_for_a_sign_of_life_and_then_left(export: Export) -> None:
    played = Played(export, after(2, say_nothing), honest)
    assert played.answer(1) == 2
    assert any(isinstance(message, Ping) for message in played.streams.streams[0].heard)
    assert "no sign of life" in played.told[0].text


def test_pauses_double_and_an_answer_is_not_waited_for_longer_than_told(export: Export) -> None:
    played = Played(export)
    assert played.answer(1, within_s=8.0) is None
    assert played.server.state is not State.REFUSED
    pauses = played.streams.slept_s
    assert 3 <= len(pauses) <= 12
    assert max(pauses[:2]) < max(pauses)


@pytest.mark.parametrize("code", ["token", "digest", "refused"])
def test_what_no_other_attempt_mends_is_final(export: Export, code: str) -> None:
    def refuse(stream: object, event: object) -> None:
        stream.say(Error.of(code, "no"))  # type: ignore[attr-defined, arg-type]

    played = Played(export, after(1, refuse), honest)
    assert played.answer(1) is None
    assert played.server.state is State.REFUSED
    assert str(played.server.refused) == "192.0.2.1:7070: the server refuses: no"


def test_a_question_that_fails_ends_alone(export: Export) -> None:
    def fail(stream: object, event: object) -> None:
        stream.say(Error.of("failed", "this one", 1))  # type: ignore[attr-defined]

    played = Played(export, after(2, fail), honest)
    assert played.answer(1) == "192.0.2.1:7070: the server refuses: this one"
    assert played.answer(2) == 4


def test_an_untrusted_server_is_left_for_good(export: Export) -> None:
    played = Played(export, honest, honest)
    dial = played.streams.dial

    def dialled(address: tuple[str, int], timeout_s: float) -> object:
        found = dial(address, timeout_s)
        step = found.step

        def stepped(timeout_s: float) -> object:
            stream = step(timeout_s)
            stream.fault = untrusted()
            return stream

        found.step = stepped  # type: ignore[method-assign, assignment]
        return found

    played.streams.dial = dialled  # type: ignore[method-assign, assignment]
    assert played.answer(1) is None
    assert "certificate is not trusted" in str(played.server.refused)
