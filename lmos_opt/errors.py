"""The errors of this package: one base, each carrying its data, each with the exit code the command line uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


class LmosError(Exception):
    """Base of every error that this project raises on purpose; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input: its path (`layers[3].inputs[0]`, empty for the whole) and what is wrong."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidError(ValueError):
    """What a validator raises if several things are wrong: `problems` holds all of them, with their paths."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class InputError(LmosError):
    """A file or an argument that cannot be used: `source` names it, `problems` lists everything wrong with it, `reason` says it in
    one line."""

    exit_code = 2
    _shown: ClassVar[int] = 8

    def __init__(self, source: str, problems: str | Iterable[Problem]) -> None:
        self.source = source
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        shown = "; ".join(map(str, self.problems[: self._shown]))
        hidden = len(self.problems) - self._shown
        self.reason = shown + (f"; and {hidden} more" if hidden > 0 else "")
        super().__init__(f"{source}: {self.reason}")


class MissingError(InputError, KeyError):
    """A name that an input does not have; a KeyError too, for code that looks names up."""

    __str__ = Exception.__str__


@contextmanager
def of_file(file: object | None, keys: Collection[str]) -> Iterator[None]:
    """What is wrong with these keys, wherever that is found, is told with the file that has them (None: with no file)."""
    try:
        yield
    except InputError as error:
        if file is None or error.source not in keys:
            raise
        raise InputError(str(file), [Problem(error.source, problem.message) for problem in error.problems]) from None


def expected(names: Iterable[str]) -> str:
    """The end of a message: what there could have been.

    >>> expected([".json", ".csv"]), expected([".json"])
    ('expected one of .json, .csv', 'expected .json')
    """
    known = list(names)
    return f"expected {'' if len(known) == 1 else 'one of '}{', '.join(known)}"


def likely(name: object, names: Iterable[str]) -> str:
    """An addition to a message about an unknown name: the known names with a similar spelling, if there are any.

    Capital and small letters count as equal.

    >>> likely("eco", ["ECO", "SCO"])
    "; did you mean 'ECO' or 'SCO'?"
    """
    by_small = {known.lower(): known for known in names}
    near = [by_small[small] for small in get_close_matches(str(name).lower(), by_small, 3)]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


class DiskFullError(LmosError):
    """There is no room for the file at `path`; it may be written later."""

    def __init__(self, path: str, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"{path}: {message}")


class InfeasibleError(LmosError):
    """No solution satisfies the constraints; `constraints` names those without which some solution would be possible."""

    exit_code = 3

    def __init__(self, problem: str, constraints: Iterable[str]) -> None:
        self.problem = problem
        self.constraints = tuple(constraints)
        super().__init__(f"{problem}: infeasible: " + (" together with ".join(self.constraints) or "the constraints"))


class SolverError(LmosError):
    """The solver with the name `solver` is missing, or ended with a status that says nothing about the problem."""

    def __init__(self, solver: str, message: str) -> None:
        self.solver = solver
        super().__init__(f"solver {solver}: {message}")


class MissingExtraError(LmosError):
    """`part` needs an optional dependency which is not installed; the extra `extra` installs it."""

    def __init__(self, part: str, extra: str) -> None:
        self.part, self.extra = part, extra
        super().__init__(f"{part} needs the extra '{extra}': pip install 'lmos[{extra}]'")


THEIR_ERRORS = (Exception, SystemExit)
"""Errors of somebody else's code that become one line of a message. SystemExit is among them: exit() in a user's function must
not end this program."""

_LIBRARIES = frozenset({"PIL", "pydantic", "pydantic_core", "pyomo", "torch", "torchvision"})
"""Packages whose own names of errors are not shown, because a user may not know that lmos uses these packages."""


def text_of(error: BaseException) -> str:
    """The text of an error, empty if even that raises: a user's own class may do anything."""
    try:
        return repr(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    except THEIR_ERRORS:
        return ""


def with_kind(error: BaseException, text: str) -> str:
    """A text about an error, after the name of its class if this is a class of Python or the user's own."""
    kind = type(error)
    if text and kind.__module__.partition(".")[0] in _LIBRARIES:
        return text
    return f"{kind.__name__}: {text}" if text else kind.__name__


def first_line(error: BaseException) -> str:
    """An error of somebody else's code in one line: its class, as `with_kind`, and the first line that it says."""
    return with_kind(error, next((line.strip() for line in text_of(error).splitlines() if line.strip()), ""))


def let_interruption_through(error: BaseException) -> None:
    """Raise the KeyboardInterrupt from which an error of somebody else's code came, if it came from one.

    An interruption may leave such code half done (torch's exporter, for one), and what it does on its way out may fail.
    """
    origin: BaseException | None = error
    while origin is not None:
        if isinstance(origin, KeyboardInterrupt):
            raise origin from None
        origin = origin.__cause__ or origin.__context__
