"""Ways to take a tensor's bytes to another process and hear that they came: `NAME.py` with a `PEER` is one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module

from lmos_opt.errors import InputError
from lmos_opt.imports import modules_of
from runner.errors import RunnerError

_END_S = 10
HOST = "127.0.0.1"
SIZE_BYTES = 8
"""Who connects says first, in so many bytes (little endian), how long each message will be."""
ACKNOWLEDGEMENT = b"."


@dataclass(frozen=True)
class ExchangeTime:
    """One message there and its answer back: the time of it, without what the other process computed meanwhile (s).

    `unaccounted_s` is what this project's stages of an image leave of its latency.
    """

    seconds: float
    unaccounted_s: float | None = None


Session = Callable[[int], list[ExchangeTime]]
"""Sends so many messages of the size that the session was opened for, one right after another."""
Opener = Callable[[int], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Peer:
    """A way there. `start` makes it ready, with a process for the other side; MissingPeer if something is not installed.

    `only_bytes` is the one size it can do, where it cannot do any. `can_rest`: a session of it can wait between two messages.
    """

    name: str
    start: Callable[[], AbstractContextManager[Opener]]
    only_bytes: int | None = None
    can_rest: bool = True

    def can(self, n_bytes: int) -> bool:
        """Whether it takes messages of this size."""
        return self.only_bytes in {None, n_bytes}


def in_a_row(exchange: Callable[[], ExchangeTime]) -> Session:
    """Of what sends one."""
    return lambda n: [exchange() for _ in range(n)]


def names() -> list[str]:
    """All peers, in alphabetical order."""
    return list(modules_of(*__path__))


def get(name: str) -> Peer:
    """The peer of that name; InputError lists what there is."""
    if name not in names():
        raise InputError("--peers", f"{name!r} is not a peer; there are {', '.join(names())}")
    found: Peer = import_module(f"{__name__}.{name}").PEER
    return found


@contextmanager
def other_side(peer: str, arguments: Sequence[str] = ()) -> Iterator[int]:
    """`python -m` of a peer's module: the port that it prints first. It ends with the block. RunnerError if it does not start."""
    command = [sys.executable, "-m", f"{__name__}.{peer}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise RunnerError(peer, "its other side did not start")
            yield int(port)
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def announce(port: int) -> None:
    """Say, in the other process, where it listens."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
