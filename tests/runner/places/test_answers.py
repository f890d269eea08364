"""Kept answers: asked again they are given again, and nothing is kept without limit."""

from __future__ import annotations

import threading

import pytest

from runner.faults.refusal import Refusal
from runner.places import answers
from runner.places.answers import ANSWERS_A_SESSION, Responder, Stored

SEAL = (1, 2)


def stored(payload: bytes = b"x") -> Stored:
    return Stored((), payload, 0.25)


def test_what_was_computed_is_given_again_to_its_own_session() -> None:
    responder = Responder()
    assert responder.claim("a", 1, SEAL) is None
    responder.keep("a", 1, stored())
    assert responder.claim("a", 1, SEAL) == stored()
    assert responder.claim("b", 1, SEAL) is None
    assert responder.claim("a", 2, SEAL) is None


def test_an_id_that_was_used_for_other_bytes_is_refused() -> None:
    responder = Responder()
    responder.claim("a", 7, SEAL)
    responder.keep("a", 7, stored())
    with pytest.raises(Refusal, match="the id 7 belongs to another image of this session") as caught:
        responder.claim("a", 7, (3, 4))
    assert caught.value.code == "tensors"


def test_a_claim_without_an_answer_may_be_claimed_again() -> None:
    responder = Responder()
    responder.claim("a", 1, SEAL)
    responder.keep("a", 1, None)
    assert responder.claim("a", 1, SEAL) is None


def test_who_asks_while_it_is_computed_waits_for_that_answer() -> None:
    responder = Responder()
    responder.claim("a", 1, SEAL)
    found: list[Stored | None] = []
    waiting = threading.Thread(target=lambda: found.append(responder.claim("a", 1, SEAL)))
    waiting.start()
    responder.keep("a", 1, stored())
    waiting.join(10)
    assert found == [stored()]


def test_what_is_computed_is_not_forgotten_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for more answers, who waits for one still gets it."""
    monkeypatch.setattr(answers, "SESSIONS", 1)
    monkeypatch.setattr(answers, "MOST_KEPT_BYTES", 2)
    responder = Responder()
    responder.claim("a", 1, SEAL)
    found: list[Stored | None] = []
    waiting = threading.Thread(target=lambda: found.append(responder.claim("a", 1, SEAL)))
    waiting.start()
    for session in "bcd":
        responder.claim(session, 1, SEAL)
        responder.keep(session, 1, stored(b"xx"))
    responder.keep("a", 1, stored())
    waiting.join(10)
    assert found == [stored()]


def test_the_oldest_answer_of_a_session_goes_first() -> None:
    responder = Responder()
    for number in range(ANSWERS_A_SESSION + 1):
        responder.claim("a", number, SEAL)
        responder.keep("a", number, stored())
    assert responder.claim("a", 0, SEAL) is None
    assert responder.claim("a", 1, SEAL) is not None


def test_the_session_that_was_silent_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SESSIONS", 2)
    monkeypatch.setattr(answers, "MOST_KEPT_BYTES", 5)
    responder = Responder()
    for session in "ab":
        responder.claim(session, 1, SEAL)
        responder.keep(session, 1, stored(b"xx"))
    assert responder.claim("a", 1, SEAL) is not None, "from now on b is the oldest"
    responder.claim("c", 1, SEAL)
    assert responder.claim("a", 1, SEAL) is not None
    responder.keep("c", 1, stored(b"xxx"))
    responder.claim("a", 2, SEAL)
    responder.keep("a", 2, stored(b"xxx"))  # 8 bytes together: c, the oldest, goes
    assert responder.claim("a", 1, SEAL) is not None
    assert responder.claim("c", 1, SEAL) is None
