"""Processors in two halves: every thread of the process goes, and what it starts goes with it; afterwards all are as before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from lmos.bench.halves import halves, move

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be moved here")


def test_threads_and_processes_go_to_the_half_that_is_said_and_come_back() -> None:
    before = os.sched_getaffinity(0)
    stop, found = threading.Event(), list[set[int]]()

    def look() -> None:
        stop.wait()
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=look)
    thread.start()
    with halves() as (asking, answering):
        assert asking | answering == before
        assert not asking & answering or len(before) == 1
        move(asking)
        stop.set()
        thread.join()
        child = subprocess.run([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"], capture_output=True, text=True,
                               check=True).stdout  # fmt: skip
        move(answering)
        assert os.sched_getaffinity(0) == answering
    assert found == [asking] == [set(map(int, child.split()))]
    assert os.sched_getaffinity(0) == before
