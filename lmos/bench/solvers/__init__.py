"""The contestants: `NAME.py` with a `CONTESTANT` is one; its name is all the registration there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from lmos_opt.errors import InputError, LmosError
from lmos_opt.imports import modules_of

if TYPE_CHECKING:
    from lmos.bench.cases import Case

Kind = Literal["chain", "graph", "program"]
Values = tuple[float, ...]


class MissingPeer(LmosError):
    """A contestant that is not installed; `how` says what would install it."""

    def __init__(self, contestant: str, how: str) -> None:
        self.contestant, self.how = contestant, how
        super().__init__(f"{contestant} is left out: {how}")


@dataclass(frozen=True)
class Terms:
    """What a run is given: its seed, the time it may take, the time this project's engine took on the same instance."""

    seed: int = 0
    time_limit_s: float = 60.0
    engine_s: float = 0.0


@dataclass(frozen=True)
class ContestAnswer:
    """What a run gives: objective vectors in the case's own senses.

    `complete` False if the run was stopped, with a note. `seconds` only where the contestant measures itself, in a
    process of its own.
    """

    values: tuple[Values, ...]
    solves: int | None = None
    complete: bool = True
    note: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Contestant:
    """A way to a front: which cases it can do, and how it is run.

    `gives` is what it claims: the whole front, the least latency alone, or an approximation. `load` makes it ready, imports
    and all, outside of what is timed, and raises MissingPeer if something is not installed.
    """

    name: str
    run: Callable[[Case, Terms], ContestAnswer]
    kinds: frozenset[Kind]
    gives: Literal["front", "least", "approximation"] = "front"
    most_objectives: int | None = None
    integral_only: bool = False
    load: Callable[[], None] = field(default=lambda: None)

    def can(self, case: Case) -> bool:
        """Whether it claims to do the case."""
        from lmos.bench.cases import IntegerProgram

        integral = isinstance(case.problem, IntegerProgram) and case.problem.is_integral
        few = self.most_objectives is None or len(case.senses) <= self.most_objectives
        return case.kind in self.kinds and few and (integral or not self.integral_only)


def names() -> list[str]:
    """All contestants, in alphabetical order."""
    return list(modules_of(*__path__))


def get(name: str) -> Contestant:
    """The contestant of that name; InputError lists what there is."""
    if name not in names():
        raise InputError("--contestants", f"{name!r} is not a contestant; there are {', '.join(names())}")
    found: Contestant = import_module(f"{__name__}.{name}").CONTESTANT
    return found
