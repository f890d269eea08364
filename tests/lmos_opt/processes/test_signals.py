"""Handlers for a block; and `in_one_piece`: a signal waits for the block's end, a second one does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from lmos_opt.processes.signals import handled, in_one_piece


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What the handler of SIGTERM heard."""
    said: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: said.append("term"))
    yield said
    signal.signal(signal.SIGTERM, before)


def test_the_first_signal_waits_for_the_end_of_the_block(heard: list[str]) -> None:
    with in_one_piece():
        signal.raise_signal(signal.SIGTERM)
        heard.append("done")
    assert heard == ["done", "term"]
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["done", "term", "term"]


def test_ctrl_c_interrupts_after_the_block_and_leaves_its_handler() -> None:
    done = []

    def told_to_end() -> None:
        with in_one_piece():
            signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            told_to_end()
        assert done == ["all of it"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_does_not_wait(heard: list[str]) -> None:
    with in_one_piece():
        signal.raise_signal(signal.SIGTERM)
        assert not heard
        signal.raise_signal(signal.SIGTERM)
        assert heard == ["term"]
    assert heard == ["term"]


def test_a_part_of_the_block_lets_one_signal_through(heard: list[str]) -> None:
    with in_one_piece() as held:
        assert not held.take()
        with held.let_through():
            signal.raise_signal(signal.SIGTERM)
            assert heard == ["term"]
            signal.raise_signal(signal.SIGTERM)
        assert heard == ["term"]
        assert held.take()
    assert heard == ["term"]  # the second one was taken
    with in_one_piece() as held:
        signal.raise_signal(signal.SIGTERM)
        assert heard == ["term"]
        with held.let_through():
            assert heard == ["term", "term"]
    assert heard == ["term", "term"]


def test_what_fails_inside_fails_as_it_would(heard: list[str]) -> None:
    def fails() -> None:
        with in_one_piece():
            raise ValueError("full")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="full"):
        fails()
    assert signal.getsignal(signal.SIGTERM) is before
    assert not heard


def test_a_signal_is_heard_where_the_block_fails(heard: list[str]) -> None:
    def fails() -> None:
        with in_one_piece():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        fails()
    assert heard == ["term"]


def test_only_the_first_is_handled_where_that_is_asked_for(heard: list[str]) -> None:
    with handled((signal.SIGTERM,), lambda *_: heard.append("here"), once=True):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    with handled((signal.SIGTERM,), lambda *_: heard.append("each")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["here", "term", "each", "each", "term"]


def test_other_threads_are_left_alone(heard: list[str]) -> None:
    seen = []

    def run() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with in_one_piece():
            seen.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [True]
