"""Problems that are solved by evaluating every solution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from lmos_opt.algorithms.errors import SubproblemError
from lmos_opt.algorithms.recording import Recorder
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.programs.milp import Array
from lmos_opt.solvers import Solver, Status


class Listing(Protocol):
    """All solutions of a problem, few enough to be evaluated. Costs that differ by less than `resolution`, an entry for each
    objective, count as one; for sums of numbers of one sign (`is_added_up`), by less than RELATIVE of the costs themselves, if that
    is less. `doubt` says why there may be more solutions."""

    resolution: Array
    doubt: str | None
    is_added_up: bool

    def __len__(self) -> int:
        """How many there are."""
        ...

    def candidates(self, check_time: Callable[[], None]) -> Iterator[Candidate]:
        """All that may be non-dominated, with their exact costs; `check_time` is called now and then and may raise to end it."""
        ...


@dataclass(eq=False)
class Given:
    """A complete list of solutions, evaluated already."""

    all_of_them: Sequence[Candidate]
    resolution: Array
    is_added_up: bool
    doubt: str | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self.all_of_them)

    def candidates(self, check_time: Callable[[], None]) -> Iterator[Candidate]:
        """All of them."""
        return iter(self.all_of_them)


@dataclass
class ListedProblem:
    """A problem that consists of a listing alone: it has no integer program. After `time_limit_s` it raises SubproblemError."""

    listing: Listing
    solver: Solver
    time_limit_s: float | None = None
    known: Sequence[Candidate] = ()
    solves: int = 0
    recorder: Recorder = field(default_factory=Recorder)
    bound: float | None = None
    incumbent: Candidate | None = None

    def __post_init__(self) -> None:
        self._start = perf_counter()

    @property
    def doubt(self) -> str | None:
        """Why the answers do not make a complete front, although each was given."""
        return self.listing.doubt

    @property
    def resolution(self) -> Array:
        """The least difference between two costs that count as different, one entry for each objective."""
        return self.listing.resolution

    @property
    def p(self) -> int:
        """The number of objectives."""
        return len(self.resolution)

    def check_time(self) -> None:
        """Raise SubproblemError after the time limit."""
        check_time(self._start, self.time_limit_s)

    def check_trade_off(self, candidate: Candidate) -> None:
        """Nothing: it has no continuous variables."""


def check_time(start: float, limit_s: float | None) -> None:
    """Raise SubproblemError if the time since the start is above the limit."""
    if limit_s is not None and perf_counter() - start > limit_s:
        raise SubproblemError(Status.TIME_LIMIT, f"the time limit of {limit_s:g} s is reached")
