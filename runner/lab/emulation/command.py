"""Commands of the system, whose failure is one line."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from lmos_opt.errors import LmosError


class CannotEmulate(LmosError):
    """This machine, or this user, cannot do what the emulation needs."""


def find(program: str) -> str:
    """Where a program is; CannotEmulate if it is not. Administrators' folders are looked through, too."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise CannotEmulate(f"cannot emulate here: there is no command {program!r}")
    return found


def do(*command: str) -> str:
    """Run a system command to its end, which Ctrl-C does not stop, and return what it printed; CannotEmulate, with the command's
    own words, where it fails."""
    done = subprocess.run([find(command[0]), *command[1:]], capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode:
        words = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[0]
        raise CannotEmulate(f"cannot emulate here: {' '.join(command)}: {words}")
    return done.stdout


def undo(*commands: Sequence[str]) -> None:
    """Run commands that clean up, which Ctrl-C does not stop; each of them runs even where others fail."""
    for command in commands:
        subprocess.run([find(command[0]), *command[1:]], capture_output=True, check=False, start_new_session=True)
