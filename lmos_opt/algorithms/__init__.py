"""Front algorithms: one file for each. `algorithms/NAME.py` holds `ALGORITHM`; the file's name registers it.

An algorithm is one function of a `FrontProblem`. It yields points when it finds them. The driver does everything that all
algorithms need: senses, scaling, exact values, doubtful answers, counts, and filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from lmos_opt.errors import InputError, likely
from lmos_opt.imports import modules_of

if TYPE_CHECKING:
    from lmos_opt.algorithms.driver import FrontProblem
    from lmos_opt.algorithms.subproblems import Candidate

_SHARED = frozenset({"belief", "branching", "dominance", "driver", "errors", "listed", "narrowing", "recording", "refinement",
                     "scaling", "sieve", "statistics", "subproblems"})  # fmt: skip
"""Modules of this folder that are not algorithms."""


@dataclass(frozen=True)
class Algorithm:
    """A front algorithm, for `least` to `most` objectives (`most` None: any number)."""

    name: str
    trace: Callable[[FrontProblem], Iterator[Candidate]]
    least: int
    most: int | None

    def admits(self, n_objectives: int) -> bool:
        """Whether it can find fronts over that many objectives."""
        return self.least <= n_objectives and (self.most is None or n_objectives <= self.most)


def names(n_objectives: int | None = None) -> list[str]:
    """The names of lmos's algorithms, or only of those for this number of objectives."""
    shipped = [name for name in modules_of(*__path__) if name not in _SHARED]
    return [name for name in shipped if n_objectives is None or _named(name).admits(n_objectives)]


def get(asked: str | Algorithm | None, n_objectives: int) -> Algorithm:
    """The algorithm of a name; for None the default for this number of objectives. An Algorithm is returned unchanged.

    InputError for an unknown name, and for an algorithm that does not take this number of objectives.
    """
    if asked is None:
        asked = "epsilon_constraint" if n_objectives == 2 else "local_upper_bounds"
    found = _named(asked) if isinstance(asked, str) else asked
    if not found.admits(n_objectives):
        raise InputError("algorithm", f"{found.name} is for {found.least} to {found.most or 'any number of'} objectives, "
                                      f"not {n_objectives}")
    return found


def _named(name: str) -> Algorithm:
    if name not in names():
        raise InputError("algorithm", f"{name!r} is not an algorithm; there are {', '.join(names())}{likely(name, names())}")
    found: Algorithm = import_module(f"{__name__}.{name}").ALGORITHM
    return found
