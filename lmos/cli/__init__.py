"""The command line `lmos`. Only signatures stand here; a command's code is imported when it is called."""

from __future__ import annotations

import sys

from lmos.shadowing import shadowing


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; every failure is one line on standard error and an exit code (2, 3 or 1)."""
    hidden = shadowing()
    if hidden is not None:
        sys.stderr.write(f"lmos: {hidden}\n")
        return 1
    try:
        from lmos.cli.application import app
        from lmos.cli.command_line import run_command_line
    except KeyboardInterrupt:  # from then on the command line heeds it
        exec("")  # as at the command line's own end
        sys.stderr.write("lmos: interrupted\n")
        return 1
    return run_command_line(app, arguments)
