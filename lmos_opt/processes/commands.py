"""Commands that read one file and write another: found, run in a folder of their own, and ended with this process' patience."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos_opt.errors import SolverError
from lmos_opt.processes.signals import in_one_piece

MODEL, ANSWER = "model.mps", "answer"
"""The file a command reads and the one it writes."""


def find_command(solver: str, command: str, package: str) -> str:
    """The path of a command. SolverError, which says how to install it, if there is none."""
    found = shutil.which(command)
    if found is None:
        raise SolverError(solver, f"there is no command {command} on the PATH; get it by: apt-get install {package}")
    return found


def run_command(solver: str, command: Sequence[str], text: str, limit_s: float) -> tuple[str, bytes] | None:
    """Run a command on `model.mps`. Returns what it has printed, and written to `answer`; None if the time is over.

    It runs in a folder of its own, which is gone afterwards, and in a process group of its own, so that an interruption
    reaches this process alone, which then ends it. SolverError if it cannot be run or ends with an error.
    """
    with TemporaryDirectory(prefix=f"lmos-{solver}-") as name:
        folder = Path(name)
        (folder / MODEL).write_text(text)
        process: subprocess.Popen[bytes] | None = None
        try:
            with in_one_piece():  # else nobody would know the process that was just started
                process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
            printed = process.communicate(timeout=limit_s)[0].decode(errors="replace")
        except OSError as error:
            raise SolverError(solver, f"cannot run {command[0]}: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process is not None:
                with process:
                    process.kill()  # nothing, if it has ended
        if process.returncode != 0:
            last = printed.strip().rpartition("\n")[2]
            raise SolverError(solver, f"{command[0]} ended with code {process.returncode}" + (f": {last}" if last else ""))
        answer = folder / ANSWER
        return printed, answer.read_bytes() if answer.exists() else b""
