"""What Python's collector leaves alone, and for how long."""

from __future__ import annotations

import gc

import pytest

from runner.memory import settle, settled

pytestmark = pytest.mark.usefixtures("nothing_settled")


def test_what_exists_is_left_alone_inside_the_block_and_no_longer() -> None:
    with settled():
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0


def test_who_settles_inside_the_block_does_not_end_it() -> None:
    with settled():
        with settled():
            pass
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0


def test_what_is_settled_for_the_process_stays_so() -> None:
    settle()
    with settled():
        pass
    assert gc.get_freeze_count() > 1000
