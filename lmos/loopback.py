"""A server and an edge as two processes of this machine, over loopback: what `lmos serve` and `lmos run` are on two machines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runner.errors import RunnerError

_STOP_S = 30


@contextmanager
def server_process(log: Path, networks: Sequence[str] = ()) -> Iterator[str]:
    """A server at a port that the system picks, where these networks may be built too; its address. RunnerError if it
    does not start."""
    command = [sys.executable, "-m", "runner.places.server", "127.0.0.1:0", *networks]
    with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise RunnerError("the server", f"did not start: see {log}")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(_STOP_S)


def run_edge(plan: Path, address: str, n: int, bandwidth: str | None, report: Path, *options: str) -> None:
    """Run a plan on n bundled pictures, with further options of `lmos run`, and write the report; the link is held to a bandwidth,
    if one is given. RunnerError if it fails.

    The edge is a process of its own, so that its memory is its own.
    """
    command = [sys.executable, "-m", "lmos", "run", str(plan), "--server", address, "-n", str(n),
               *(["--shape", bandwidth] if bandwidth else []), "-o", str(report), "--json", *options]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RunnerError("the edge", f"ended with exit code {done.returncode}: {done.stderr.strip()}")
