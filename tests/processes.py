"""Processes that tests start: none of them outlives the test, and none the tests."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""Ends a process with the one that started it, however that ended (Linux)."""
_PATIENCE_S = 120


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, its streams as text; at the end whatever is left of the session is killed."""
    with subprocess.Popen([*_WITH_PARENT, *command], text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            end_session(process)


def end_session(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads its session, and all that it started there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_PATIENCE_S)


def read_terminal(ours: int, until: str | None = None) -> str:
    """What processes write to a terminal of which this is the other end: up to what this expression finds, or until none has it
    open any more. AssertionError where neither comes."""
    found, end = "", time.monotonic() + _PATIENCE_S
    while until is None or not re.search(until, found):
        left = end - time.monotonic()
        if left < 0 or not select.select([ours], [], [], left)[0]:
            raise AssertionError(f"{until or 'the end'!r} does not come after {found[-500:]!r}")
        try:
            found += os.read(ours, 2**16).decode(errors="replace")
        except OSError:  # all have closed it
            assert until is None, f"no {until!r} in {found!r}"
            break
    return found
