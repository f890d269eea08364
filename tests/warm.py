"""Processes of ours that begin at once: each is a copy of one that has imported torch, torchvision and the commands.

To import them takes a process 3 to 7 s, and on a busy machine many times that; nearly no test is about it.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace, TracebackType
from typing import IO, Any, Self

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
_LOST_S = 120


def context() -> ForkServerContext:
    """Makes processes that have imported `tests.preloaded`, and nothing else."""
    found = get_context("forkserver")
    found.set_forkserver_preload(["tests.preloaded"])
    return found


def is_ours(command: Sequence[str]) -> bool:
    """Whether a command can be begun so: it is `python -m` one of our modules."""
    return list(command[:2]) == [sys.executable, "-m"]


class Popen:
    """As `subprocess.Popen` for the commands that `is_ours` takes, as far as tests use it."""

    def __init__(self, command: Sequence[str], *, stdin: Any = None, stdout: Any = None, stderr: Any = None, text: bool = True,
                 cwd: str | Path | None = None) -> None:  # fmt: skip
        assert is_ours(command), command
        assert text
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        with ExitStack() as theirs:
            fds = []
            for number, given in enumerate((stdin, stdout, stderr)):
                if given == PIPE:
                    read, write = os.pipe()
                    one, ours = (read, write) if number == 0 else (write, read)
                    setattr(self, ("stdin", "stdout")[number], open(ours, "w" if number == 0 else "r"))  # noqa: PTH123, SIM115
                    theirs.callback(os.close, one)
                elif given in (None, DEVNULL):
                    one = os.open(os.devnull, os.O_RDWR)
                    theirs.callback(os.close, one)
                else:
                    one = given if isinstance(given, int) else given.fileno()
                fds.append(one)
            begun = (list(command[2:]), [_Stream(fd) for fd in fds], str(cwd or Path.cwd()), {**os.environ})
            self._process = context().Process(target=_become, args=begun)
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.kill()
        self.wait(_LOST_S)
        for stream in (self.stdin, self.stdout):
            if stream is not None:
                stream.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def begun(command: Sequence[str], **options: Any) -> Iterator[Popen]:
    """A command of ours; killed at the end of the block if it still runs."""
    with Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run`; what is no command of ours it runs."""
    if not is_ours(command) or {*options} - {"capture_output", "text", "check", "cwd", "stdout", "stderr"}:
        return subprocess.run(command, check=options.pop("check", False), **options)
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        with Popen(command, stdout=out, stderr=err, cwd=options.get("cwd")) as process:
            code = process.wait()
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(command, code, out.read(), err.read())
    if options.get("check"):
        done.check_returncode()
    return done


SUBPROCESS = SimpleNamespace(Popen=Popen, run=run, PIPE=PIPE, DEVNULL=DEVNULL)
"""In place of a module's `subprocess`."""


class _Stream:
    """A file's number, which is another one in the process that gets it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (DupFd(self._number),)


def _detached(stream: Any) -> int:
    return stream.detach()


def _become(command: list[str], streams: list[int], folder: str, environment: dict[str, str]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
