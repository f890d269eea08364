"""Work in several processes: what is lost with one of them, and how they end."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pytest

from lmos.bench import working
from lmos.bench.working import Work, results
from lmos_opt.errors import LmosError
from tests import warm

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def warm_processes(monkeypatch):
    monkeypatch.setattr(working, "get_context", lambda method: warm.context())


def _doubled(number: int) -> list[int]:
    if number == 3:
        os._exit(9)
    if number == 5:
        time.sleep(600)
    return [2 * number]


def _given_up(number: int, why: str) -> list[int]:
    return [-number]


def test_work_that_crashes_or_hangs_is_lost_alone():
    found = sorted(results(Work(_doubled, _given_up, 3.0), range(8), 2))
    assert found == [-5, -3, 0, 2, 4, 8, 12, 14]


def _deaf(number: int) -> list[int]:
    while number:
        with suppress(SystemExit):
            time.sleep(600)
    return [number]


def test_what_takes_its_end_for_an_answer_is_ended_all_the_same(monkeypatch):
    """As own code's exit() is: the benchmark waited for ever when it was interrupted there."""
    monkeypatch.setattr(working, "_LEAVE_S", 0.1)
    found = results(Work(_deaf), [0, 0, 1, 1], 2)
    assert [next(found), next(found)] == [0, 0]
    found.close()


def _holding(number: int) -> list[str]:
    """The name of a semaphore that this process made; then nothing more for long."""
    if number:
        time.sleep(600)
    _HELD.append(get_context("spawn").Lock())
    return [_HELD[0]._semlock.name]


_HELD: list = []


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="semaphores are files on Linux")
def test_processes_that_are_told_to_end_give_their_semaphores_back():
    found = results(Work(_holding), [0, 0, 1, 1], 2)
    held = [Path(f"/dev/shm/sem.{next(found).removeprefix('/')}") for _ in range(2)]
    assert all(one.exists() for one in held)
    found.close()
    assert not any(one.exists() for one in held)


def _failing(number: int) -> list[int]:
    return [1 // number]


def test_an_error_in_a_process_is_one():
    with pytest.raises(LmosError, match="a process ended with 1"):
        list(results(Work(_failing), [1, 0, 1], 2))
