"""The zoo's networks one after another in a process of their own, which is ended where it takes too long or too much memory."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from lmos.bench.zoo.visit import Visited
from lmos_opt.errors import InputError

MOST_BYTES = 6 * 2**30
"""A process whose memory has exceeded this is ended after its network. The next network gets a new process."""


def tour(names: Sequence[str], timeout_s: float, tell: Callable[[str], None] = lambda what: None) -> Iterator[Visited]:
    """The result of each network, in order, as soon as it is there. One that takes longer than `timeout_s` counts as refused."""
    done = 0
    while done < len(names):
        with _process() as process:
            for name in names[done:]:
                done += 1
                tell(f"{done} of {len(names)}: {name}")
                line = _asked(process, name, timeout_s)
                if line is None:
                    yield Visited(name, reason=f"takes longer than {timeout_s:g} s, or its process ended")
                    break
                fields = json.loads(line)
                peak = fields.pop("peak_bytes")
                yield Visited(**fields)
                if peak > MOST_BYTES:
                    break


def resumed(names: Sequence[str], timeout_s: float, kept: Path | None, tell: Callable[[str], None]) -> list[Visited]:
    """As `tour`, but networks with a line in the file `kept` are not visited again, and each that is gets its line at once.

    InputError for a file that holds other lines.
    """
    before = {} if kept is None else {one.network: one for one in _kept(kept)}
    found = dict(before)
    for one in tour([name for name in names if name not in before], timeout_s, tell):
        found[one.network] = one
        if kept is not None:
            with kept.open("a") as file:
                file.write(json.dumps(asdict(one)) + "\n")
    return [found[name] for name in names]


def _kept(path: Path) -> Iterator[Visited]:
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            yield Visited(**json.loads(line))
        except (ValueError, TypeError):
            raise InputError(str(path), f"line {number} is no network of a zoo visited before; name a file that --kept wrote, "
                                        "or a new one") from None  # fmt: skip


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
    """The line of a network; None if it does not come in time."""
    if process.stdin is None or process.stdout is None:
        return None
    with suppress(OSError):  # the process may have ended, which gives no line either
        process.stdin.write(f"{name}\n".encode())
        process.stdin.flush()
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        if not waiting.select(timeout_s):
            return None
    return process.stdout.readline() or None  # a line is written whole
