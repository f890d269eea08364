"""A front while it is being found: an iterator over its points, and the points so far as a `Front`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.dominance import non_dominated
from lmos_opt.algorithms.driver import Candidate, FrontProblem
from lmos_opt.algorithms.errors import SubproblemError, TradeOffError
from lmos_opt.errors import SolverError
from lmos_opt.front import Front, ObjectiveInfo, Point, SolverInfo

UNFINISHED = "stopped before the end"


@dataclass(frozen=True)
class Meaning:
    """What answers mean to a user: a candidate as a point, no candidate as an error, an only objective's cost as its value."""

    point: Callable[[Candidate], Point]
    infeasible: Callable[[], Exception]
    value: Callable[[float], float]


class GrowingFront:
    """Yields each point once it is known to be on the front; `front` may be asked for at any time, also in between.

    Raises InfeasibleError at the end where nothing is feasible. A solver that fails ends the iteration, and `front` says why.
    """

    def __init__(self, name: str, objectives: Sequence[ObjectiveInfo], problem: FrontProblem, algorithm: Algorithm,
                 meaning: Meaning, constrained: str | None, start: float) -> None:  # fmt: skip
        self._name, self._objectives, self._problem, self._algorithm = name, objectives, problem, algorithm
        self._meaning, self._constrained = meaning, constrained
        self._start, self._seconds = start, perf_counter() - start
        self._found = list(problem.known)
        self._made: dict[int, Point] = {}
        self._reason: str | None = UNFINISHED
        self._points = self._traced()

    def __iter__(self) -> Iterator[Point]:
        return self._points

    def run(self, on_point: Callable[[Point], None] | None = None) -> Front:
        """Find all points that are left, and give the front; an interruption (Ctrl-C) ends it early."""
        try:
            for point in self._points:
                if on_point is not None:
                    on_point(point)
        except KeyboardInterrupt:
            self._reason = "interrupted"
            self._fall_back()
            self._stop()
        return self.front

    @property
    def front(self) -> Front:
        """The points found so far, those dominated by later ones taken out; complete if the search came to its end.

        Of one objective it has the proved bound where it is not complete.
        """
        bound = None if self._reason is None else self._problem.bound
        solver = SolverInfo(name=self._problem.solver.name, version=self._problem.solver.version())
        points = tuple(map(self._point_of, non_dominated(self._problem, self._found)))
        return Front(schema="lmos.front/1", instance=self._name or "model", objectives=tuple(self._objectives), points=points,
                     solves=self._problem.solves, seconds=self._seconds, solver=solver, complete=self._reason is None,
                     reason=self._reason, constrained=self._constrained,
                     bound=None if bound is None else self._meaning.value(bound))  # fmt: skip

    def _fall_back(self) -> None:
        """Of one objective whose search was ended, the best solution met is the front so far."""
        if not self._found and (best := self._problem.incumbent) is not None:
            self._found.append(best)

    def _point_of(self, candidate: Candidate) -> Point:
        """The candidate's point, made once; candidates are known by their identity, and `_found` keeps them."""
        if (found := self._made.get(id(candidate))) is None:
            found = self._made[id(candidate)] = self._meaning.point(candidate)
        return found

    def _stop(self) -> None:
        self._seconds = perf_counter() - self._start

    def _traced(self) -> Iterator[Point]:
        try:
            for candidate in self._algorithm.trace(self._problem):
                self._found.append(candidate)
                self._stop()
                yield self._point_of(candidate)
                self._problem.check_trade_off(candidate)
            self._reason = self._problem.doubt if self._found else None
        except (SubproblemError, TradeOffError) as error:
            self._reason = str(error)
            self._fall_back()
        except SolverError as error:
            if not self._found:
                raise
            self._reason = str(error)
        self._stop()
        if not self._found and self._reason is None:
            raise self._meaning.infeasible()


def __getattr__(name: str) -> type[GrowingFront]:
    """`Tracing`, the class's name of before, until the next minor version."""
    if name != "Tracing":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("Tracing is GrowingFront now; the old name goes with the next minor version", DeprecationWarning, stacklevel=2)
    return GrowingFront
