"""Processes that tests start: none of them outlives the test, and none the tests."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""Ends a process with the one that started it, however that ended (Linux)."""
_PATIENCE_S = 120
MARK = "LMOS_TESTS_RUN"
"""The variable that all descendants of a run of tests have in their environment, wherever they went: which run it was,
and inside which other ones, as the parts of a path."""
_WATCHING: list[subprocess.Popen[bytes]] = []
"""The processes that wait for the end of this one, in sessions of their own and deaf to Ctrl-C; held until then."""


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


@contextmanager
def ended_session() -> Iterator[None]:
    """Ends all that is in the session which this process leads, with the block (Linux)."""
    try:
        yield
    finally:
        while left := [pid for pid in _session(os.getpid()) if pid != os.getpid()]:
            _kill(left)


def _session(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(folder.name))
    return found


def _kill(found: list[int]) -> None:
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.01)


def end_with(config: pytest.Config) -> None:
    """Whatever a run of tests starts ends with it, also where it is killed (Linux); with xdist so does each worker, which is a run
    itself.

    SIGINT ends it also where it was ignored, as by a shell that starts tests in the background.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not Path("/proc/self/environ").exists():
        return
    before = os.environ.get(MARK, "")
    mark = f"{before}/{os.getpid()}-{time.time_ns()}"
    watching = subprocess.Popen([sys.executable, "-S", __file__, mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                start_new_session=True)  # fmt: skip
    _WATCHING.append(watching)
    os.environ[MARK] = mark

    def end_others() -> None:
        os.environ[MARK] = before
        assert watching.stdin is not None
        assert watching.stdout is not None
        watching.stdin.write(b"\n")
        watching.stdin.flush()
        watching.stdout.readline()

    config.add_cleanup(end_others)


def marked(mark: str) -> list[int]:
    """The processes that a run of tests, or one inside it, started and that have not ended."""
    found, entry = [], f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if any(one == entry or one.startswith(entry + b"/") for one in (folder / "environ").read_bytes().split(b"\0")):
                found.append(int(folder.name))
    return found


def _watch(mark: str) -> None:
    """End all but joblib's trackers when a line comes, and answer; end the rest when nobody can write any more.

    A tracker counts the semaphores of a run, which gives them back when Python ends. One that had been killed before would be
    started again for that, and complain of each semaphore.
    """
    while sys.stdin.readline():
        while left := [pid for pid in marked(mark) if not _is_tracker(pid)]:  # again: one may have been starting another
            _kill(left)
        sys.stdout.write("\n")
        sys.stdout.flush()
    while left := marked(mark):
        _kill(left)


def _is_tracker(pid: int) -> bool:
    with suppress(OSError):
        return b"loky.backend.resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


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


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _watch(sys.argv[1])
