"""The settings of a solver: the options that a user gives, by the solver's own names, its seed, threads and tolerances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, Self, runtime_checkable

from lmos_opt.errors import InputError

Option = bool | int | float | str
Options = Mapping[str, Option]
NOTHING: Options = MappingProxyType({})
_WHERE = "solver_options"


@dataclass(frozen=True)
class Settings:
    """The settings of a solver, as a front's file records them.

    `seed` and `threads` are None if the solver has no such option, or decides by itself. `tolerances` and `options` (those that a
    user gave) have the solver's own names. `decisive` are the names of the user's options except seed and threads: they may change
    which answer the solver gives.
    """

    seed: int | None = None
    threads: int | None = None
    tolerances: Mapping[str, float] = field(default_factory=dict)
    options: Options = field(default_factory=dict, hash=False)
    decisive: tuple[str, ...] = ()

    @classmethod
    def read(cls, used: Mapping[str, Any], given: Options, seed: str, threads: str, tolerances: Sequence[str]) -> Settings:
        """The settings from the options `used` and the user's options `given`. The others are names of options of the solver."""
        found = {name: float(used[name]) for name in tolerances if isinstance(used.get(name), int | float)}
        whole = {name: used[name] for name in (seed, threads) if isinstance(used.get(name), int)}
        return cls(whole.get(seed), whole.get(threads), found, given, tuple(n for n in given if n not in (seed, threads)))


@runtime_checkable
class Configurable(Protocol):
    """A solver that takes options."""

    @property
    def settings(self) -> Settings:
        """Its settings."""

    def with_options(self, options: Options) -> Self:
        """The solver with these options in place of its own. InputError for an option that the solver does not have or take."""


def settings_of(solver: object) -> Settings:
    """A solver's settings; empty for a solver that takes no options."""
    found = getattr(solver, "settings", None)
    return found if isinstance(found, Settings) else Settings()


def checked(options: Options) -> Options:
    """The options unchanged. InputError if they are not a mapping from names to numbers, texts or truth values."""
    if not isinstance(options, Mapping):
        raise InputError(_WHERE, f"got {options!r:.60}; expected names to values, such as {{'threads': 2}}")
    for name, value in options.items():
        if not (isinstance(name, str) and isinstance(value, Option)):
            raise InputError(_WHERE, f"got {name!r:.60}: {value!r:.60}; expected a name and a number, a text, or True or False")
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            raise InputError(_WHERE, f"got {name!r:.60}: {value!r:.60}; expected letters that UTF-8 has") from None
    return options


def refused(solver: str, name: str, value: object, reason: str) -> InputError:
    """The error for one option whose value the solver does not take."""
    return InputError(f"{_WHERE}, {name}", f"{solver} does not take {value!r:.60}: {reason}")


def unknown(solver: str, name: str) -> InputError:
    """The error about an option that the solver does not have."""
    return InputError(_WHERE, f"{name!r} is not an option of {solver}")


def no_options(solver: str) -> InputError:
    """The error if a solver takes no options."""
    return InputError(_WHERE, f"solver {solver} takes no options")


def parsed(text: str, where: str) -> tuple[str, Option]:
    """Name and value of a typed `NAME=VALUE`: a number, true or false, otherwise a text. InputError for anything else."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise InputError(where, f"{text!r}: expected NAME=VALUE, such as threads=2")
    word = value.strip()
    readers: tuple[Callable[[str], Option], ...] = (int, float)
    for read in readers:
        try:
            return name.strip(), read(word)
        except ValueError:
            continue
    return name.strip(), {"true": True, "false": False}.get(word.lower(), word)
