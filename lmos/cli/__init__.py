"""The command line `lmos`. Only signatures stand here; a command's code is imported when it is called."""

from __future__ import annotations

import sys

from lmos.shadowing import shadowing


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; every failure is one line on standard error and an exit code (2, 3 or 1)."""
    try:
        return _main(arguments)
    finally:
        _forget_interruptions()


def _forget_interruptions() -> None:
    """Let a process end with its own exit code, also after an interruption.

    CPython notes that a KeyboardInterrupt left the code of a string that was executed (dataclasses make their methods so), even if
    it is caught further out. `python -m` then ends as if killed by SIGINT, whatever the exit code. Only the next string that is
    executed makes CPython forget it (`run_eval_code_obj` in pythonrun.c); nothing in `sys` or `signal` does.
    """
    exec("")


def _main(arguments: list[str] | None) -> int:
    hidden = shadowing()
    if hidden is not None:
        sys.stderr.write(f"lmos: {hidden}\n")
        return 1
    try:
        from lmos.cli.application import app
        from lmos.cli.command_line import run_command_line
    except KeyboardInterrupt:  # from then on the command line heeds it
        sys.stderr.write("lmos: interrupted\n")
        return 1
    return run_command_line(app, arguments)
