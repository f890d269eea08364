"""A process' standard streams, also where whoever started it closed them (`lmos ... >&-`)."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def fill_streams() -> None:
    """Let each standard stream that is closed lead nowhere: what is printed is lost, as was asked, and no file or socket that is
    opened later gets its number. Characters that standard output cannot hold are written as escapes.

    For a process's beginning.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the least number that is free, which is this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for the process's life
    if isinstance(sys.stdout, io.TextIOWrapper):
        with suppress(OSError):  # of a stream whose number means another file than when it was opened
            sys.stdout.reconfigure(errors="backslashreplace")


def complain(line: str) -> None:
    """A line on standard error, if that still takes one."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
