"""The zoo's networks one after another in a process of their own, which is ended where it takes too long or too much memory."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from lmos.bench.zoo.visit import Visited

MOST_BYTES = 6 * 2**30
"""A process that has held so much is ended after its network, and the next begins in a new one."""


def tour(names: Sequence[str], timeout_s: float, tell: Callable[[str], None] = lambda what: None) -> list[Visited]:
    """What comes of each network, in their order; one that takes longer is refused with that as the reason."""
    found: list[Visited] = []
    while len(found) < len(names):
        with _process() as process:
            for name in names[len(found) :]:
                tell(f"{len(found) + 1} of {len(names)}: {name}")
                line = _asked(process, name, timeout_s)
                if line is None:
                    found.append(Visited(name, reason=f"takes longer than {timeout_s:g} s, or its process ended"))
                    break
                fields = json.loads(line)
                peak = fields.pop("peak_bytes")
                found.append(Visited(**fields))
                if peak > MOST_BYTES:
                    break
    return found


@contextmanager
def _process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "lmos.bench.zoo.visit"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _asked(process: subprocess.Popen[bytes], name: str, timeout_s: float) -> bytes | None:
    """The line about a network; None where none comes in time."""
    if process.stdin is None or process.stdout is None:
        return None
    with suppress(OSError):  # a process that has ended says nothing either
        process.stdin.write(f"{name}\n".encode())
        process.stdin.flush()
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        if not waiting.select(timeout_s):
            return None
    return process.stdout.readline() or None  # a line is written whole
