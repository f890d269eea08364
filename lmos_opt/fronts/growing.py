"""A front while it is being found: an iterator over its points, and the points so far as a `Front`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

from lmos_opt.algorithms import Algorithm
from lmos_opt.algorithms.dominance import non_dominated
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.errors import SubproblemError, TradeOffError
from lmos_opt.algorithms.listed import ListedProblem
from lmos_opt.algorithms.recording import Step
from lmos_opt.algorithms.statistics import Bound, Relation, Statistics, Subproblem
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import SolverError
from lmos_opt.files import LineLog
from lmos_opt.front import Front, ObjectiveInfo, Point, Sense, SolverInfo
from lmos_opt.solvers.settings import settings_of

UNFINISHED = "stopped before the end"


@dataclass(frozen=True)
class Meaning:
    """What answers mean to a user: a candidate as a point, no candidate as an error, the k-th objective's cost as its value."""

    point: Callable[[Candidate], Point]
    infeasible: Callable[[], Exception]
    value: Callable[[int, float], float]
    why_one: Callable[[Point], str] | None = None
    """Why there is no other point than this one."""


@dataclass(frozen=True)
class Run:
    """What belongs to one run: Algorithm 1's constrained objective, when it began, the file that it is logged to."""

    constrained: str | None
    start: float
    log: str | os.PathLike[str] | None = None


class GrowingFront:
    """Yields each point once it is known to be on the front; `front` may be asked for at any time, also in between.

    Raises InfeasibleError at the end where nothing is feasible. A solver that fails ends the iteration, and `front` says why.
    """

    def __init__(self, name: str, objectives: Sequence[ObjectiveInfo], problem: FrontProblem | ListedProblem, algorithm: Algorithm,
                 meaning: Meaning, run: Run) -> None:  # fmt: skip
        self._name, self._objectives, self._problem, self._algorithm = name, objectives, problem, algorithm
        self._meaning, self._constrained, self._start = meaning, run.constrained, run.start
        self._told: list[Subproblem] = []
        self._log = None if run.log is None else LineLog(run.log)
        problem.recorder.on_step = self._tell
        self._build_s = self._seconds = perf_counter() - self._start
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
        why_one = self._meaning.why_one if self._reason is None and len(self._objectives) > 1 else None
        solver = SolverInfo(name=self._problem.solver.name, version=self._problem.solver.version())
        points = tuple(map(self._point_of, non_dominated(self._problem, self._found)))
        return Front(schema="lmos.front/1", instance=self._name or "model", objectives=tuple(self._objectives), points=points,
                     solves=self._problem.solves, seconds=self._seconds, solver=solver, complete=self._reason is None,
                     reason=self._reason, constrained=self._constrained,
                     bound=None if bound is None else self._meaning.value(0, bound), statistics=self._statistics(),
                     remark=why_one(points[0]) if why_one is not None and len(points) == 1 else None)  # fmt: skip

    def _statistics(self) -> Statistics:
        done, settings = self._problem.recorder.totals, settings_of(self._problem.solver)
        return Statistics(algorithm=self._algorithm.name, solves=done.solves, lps=done.lps, nodes=done.nodes, build_s=self._build_s,
                          lp_s=done.lp_s, search_s=self._seconds - self._build_s, certified=not done.words, seed=settings.seed,
                          threads=settings.threads, tolerances=dict(settings.tolerances), solver_options=dict(settings.options),
                          splits=None if self._problem.listing is None else len(self._problem.listing),
                          subproblems=tuple(self._told))  # fmt: skip

    def _tell(self, step: Step) -> None:
        """Take note of a subproblem in the user's senses, and write it into the log."""
        def value(k: int, cost: float) -> float:
            return self._meaning.value(k, cost)

        names, took = [objective.name for objective in self._objectives], step.took
        relations = {k: _relation(self._objectives[k].sense, limit.strict) for k, limit in step.limits.items()}
        # not checked, since it is made of what is ours: a search has thousands of them
        bounds = tuple(Bound.model_construct(objective=names[k], relation=relations[k], value=value(k, limit.value))
                       for k, limit in sorted(step.limits.items()))
        values = None if step.found is None else {name: value(k, step.found.costs[k]) for k, name in enumerate(names)}
        self._told.append(Subproblem.model_construct(
            number=len(self._told) + 1, optimised=names[step.judged[0]] if len(step.judged) == 1 else None, bounds=bounds,
            outcome=step.outcome, values=values, solves=took.solves, lps=took.lps, nodes=took.nodes, lp_s=took.lp_s,
            seconds=step.seconds, certified=not took.words,
        ))  # fmt: skip
        if self._log is not None:
            self._log.write(self._told[-1].model_dump_json())

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
            problem = cast(FrontProblem, self._problem)  # a listed one is given to an enumeration alone
            for candidate in self._algorithm.trace(problem):
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


def _relation(sense: Sense, is_strict: bool) -> Relation:
    if sense == "min":
        return "<" if is_strict else "<="
    return ">" if is_strict else ">="


def __getattr__(name: str) -> type[GrowingFront]:
    """`Tracing`, the class's name of before, until the next minor version."""
    if name != "Tracing":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("Tracing is GrowingFront now; the old name goes with the next minor version", DeprecationWarning, stacklevel=2)
    return GrowingFront
