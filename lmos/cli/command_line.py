"""The end of a command line: a result, or one line on standard error and an exit code."""

from __future__ import annotations

import copy
import errno
import os
import signal
import sys
from functools import lru_cache
from typing import Any

import typer
from typer.models import CommandInfo

from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.processes.streams import complain, fill_streams
from runner.errors import one_line
from runner.memory import settle, settled

_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""The common base of the command line's own complaints."""
_INTERRUPTED = 130
"""The exit code that some versions of typer give for a KeyboardInterrupt."""

_AGAIN_S = 0.005
"""An interruption that came where it could not be raised comes again after this time; no finalizer takes so long."""
_TORCH = frozenset({"PIL", "safetensors", "torch", "torchvision"})
"""Packages that the extra `torch` installs."""
_NO_PATH = frozenset({errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR})


def run_command_line(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run the command line; every failure is one line on standard error and an exit code (2, 3 or 1)."""
    if arguments is not None:
        with settled():
            return _flushed(_run(app, arguments))
    try:  # the process is the command's
        fill_streams()
        _heed_signals()
        settle()
        code = _flushed(_run(app, arguments))
    except KeyboardInterrupt:  # while it was ending
        code = _complain("interrupted", 1)
    signal.setitimer(signal.ITIMER_REAL, 0)  # the command is done; a signal during Python's own end would print a traceback
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return code


def _flushed(code: int) -> int:
    """The exit code, after standard output has taken all that was printed."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest of the buffer cannot be written
        return code or _failed(error)
    return code


def _heed_signals() -> None:
    """Let SIGINT and the first SIGTERM interrupt this process, so that a command ends the processes that it has started.

    Shells start a background process with SIGINT ignored; here it interrupts all the same, because nothing else would end the
    command in order. A second SIGTERM ends this process at once.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    sys.unraisablehook = _come_again


def _come_again(found: sys.UnraisableHookArgs) -> None:
    """Raise an interruption again that came in a finalizer, out of which Python lets no exception. Tracing a network runs many."""
    if not isinstance(found.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(found)
        return
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _interrupt(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt


def _run(app: typer.Typer, arguments: list[str] | None) -> int:
    try:
        named = next(iter(sys.argv[1:] if arguments is None else arguments), None)
        code: Any = _command(app, named).main(arguments, prog_name="lmos", standalone_mode=False)
    except LmosError as error:
        return _complain(str(error), error.exit_code)
    except _CLICK_ERROR as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        for typer_says, said in ((": Input should be a valid", ": expected a valid"), (": Input should be", ": expected a value")):
            message = message.replace(typer_says, said)
        return _complain(message, 2)
    except (typer.Abort, KeyboardInterrupt):
        return _complain("interrupted", 1)
    except OSError as error:
        return _failed(error)
    except ModuleNotFoundError as error:
        if error.name not in _TORCH:
            raise
        return _complain(str(MissingExtraError("this command", "torch")), MissingExtraError.exit_code)
    if code == _INTERRUPTED:
        return _complain("interrupted", 1)
    return code if isinstance(code, int) else 0


@lru_cache
def _command(app: typer.Typer, named: str | None) -> Any:
    """The parser of the named command; without a name, of all commands.

    To make a parser, every option's annotation is read, which takes 0.1 to 0.3 s for all commands.
    """
    part = copy.copy(app)
    part.registered_commands = [one for one in app.registered_commands if _name(one) == named]
    part.registered_groups = [one for one in app.registered_groups if one.name == named]
    return typer.main.get_command(part if part.registered_commands or part.registered_groups else app)


def _name(command: CommandInfo) -> str:
    return command.name or typer.main.get_command_name(command.callback.__name__ if command.callback else "")


def _failed(error: OSError) -> int:
    """The exit code for an OSError: 2 for a path that no file can have, otherwise 1.

    If the reader of standard output has ended (`lmos ... | head`), there is no message.
    """
    if isinstance(error, BrokenPipeError):
        return 1
    is_gone = error.errno == errno.ENOENT and error.filename is None  # what a process's own folder says after it was removed
    where = error.filename or ("the current folder" if is_gone else "standard output")
    return _complain(f"{where}: {(error.strerror or str(error)).lower()}", 2 if is_gone or error.errno in _NO_PATH else 1)


def _complain(message: str, code: int) -> int:
    complain(f"lmos: {one_line(message)}")
    return code
