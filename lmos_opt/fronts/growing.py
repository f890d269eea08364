"""A front during its search: an iterator over its points, and the points so far as a `Front`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

from lmos_opt.algorithms import Algorithm, local_upper_bounds
from lmos_opt.algorithms.branching import UnsettledError
from lmos_opt.algorithms.dominance import non_dominated
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.errors import SubproblemError, TradeOffError
from lmos_opt.algorithms.listed import Given, ListedProblem
from lmos_opt.algorithms.narrowing import blurred, hides_small, narrowed
from lmos_opt.algorithms.recording import Step
from lmos_opt.algorithms.statistics import Bound, Relation, Statistics, Subproblem
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import SolverError
from lmos_opt.front import Front, ObjectiveInfo, Point, Sense, SolverInfo
from lmos_opt.processes.writing import LineLog
from lmos_opt.programs.milp import Array
from lmos_opt.solvers import Status
from lmos_opt.solvers.settings import settings_of

UNFINISHED = "stopped before the end"
MOST_LOOKED_AT = 20_000
"""The most vectors that are evaluated one by one if a search has no proof. This takes some seconds."""


@dataclass(frozen=True)
class Meaning:
    """From answers of the search to what users get: the point of a candidate, the error if there is none, the value of cost k."""

    point: Callable[[Candidate], Point]
    infeasible: Callable[[], Exception]
    value: Callable[[int, float], float]
    why_one: Callable[[Point], str] | None = None
    """Why there is no other point than this one."""


@dataclass(frozen=True)
class Run:
    """The settings of one run.

    `constrained` is Algorithm 1's constrained objective, `start` the time (s) when the run began, `log` the file of its
    subproblems. `every(n)` gives all vectors, at most n + 1 of them, or None if they cannot be listed. `has_own` says that
    objectives, constraints or variables of the user's are among the problem's.
    """

    constrained: str | None
    start: float
    log: str | os.PathLike[str] | None = None
    every: Callable[[int], Iterator[Array] | None] | None = None
    has_own: bool = False


class GrowingFront:
    """An iterator that yields each point once it is known to be on the front. `front` may be read at any time, also between points.

    Raises InfeasibleError at the end if nothing is feasible. If a solver fails, the iteration ends, and `front` says why.
    """

    def __init__(self, name: str, objectives: Sequence[ObjectiveInfo], problem: FrontProblem | ListedProblem, algorithm: Algorithm,
                 meaning: Meaning, run: Run) -> None:  # fmt: skip
        self._name, self._objectives, self._problem, self._algorithm = name, objectives, problem, algorithm
        self._meaning, self._constrained, self._start, self._every = meaning, run.constrained, run.start, run.every
        self._has_own = run.has_own
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
        """Find all remaining points, and return the front. Ctrl-C ends the search early; the front then says `interrupted`."""
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
        """The points found so far, without those that later points dominate; complete if the search has ended.

        With one objective, an incomplete front has the proved bound.
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
        """Record a subproblem in the user's senses and units, and write it to the log."""
        def value(k: int, cost: float) -> float:
            return self._meaning.value(k, cost)

        names, took = [objective.name for objective in self._objectives], step.took
        relations = {k: _relation(self._objectives[k].sense, limit.strict) for k, limit in step.limits.items()}
        # not validated, because a search has thousands of them, and they are made here
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
        """With one objective: if the search has ended early, its best solution is the front."""
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
            yield from self._searched(self._algorithm.trace)
            while self._finer():
                yield from self._searched(local_upper_bounds.trace)
            self._reason = self._doubt()
            if self._reason is not None or (isinstance(self._problem, FrontProblem) and hides_small(self._problem, self._found)):
                yield from self._looked_at()
        except (SubproblemError, TradeOffError) as error:
            self._reason = str(error)
            self._fall_back()
            if getattr(error, "status", None) is Status.FAILED:
                yield from self._looked_at()
        except SolverError as error:
            if not self._found:
                raise
            self._reason = str(error)
        self._stop()
        if not self._found and (self._reason is None or not self._problem.solver.relaxes):
            raise self._meaning.infeasible()

    def _searched(self, trace: Callable[[FrontProblem], Iterator[Candidate]]) -> Iterator[Point]:
        """The points that an algorithm finds."""
        problem = cast(FrontProblem, self._problem)  # only an enumeration gets a ListedProblem
        for candidate in trace(problem):
            self._found.append(candidate)
            self._stop()
            yield self._point_of(candidate)
            self._problem.check_trade_off(candidate)

    def _finer(self) -> bool:
        """Replace the problem by one of finer resolution (`lmos_opt.algorithms.narrowing`); False if none is needed or possible."""
        problem = self._problem
        if not isinstance(problem, FrontProblem) or problem.doubt is not None:
            return False
        if (finer := narrowed(problem, self._found, self._meaning.value)) is None:
            return False
        self._problem, self._found = finer, list(finer.known)
        self._made.clear()
        return True

    def _doubt(self) -> str | None:
        """Why the front may lack points although its search is complete, in words; None if it lacks none."""
        problem = self._problem
        return problem.doubt or (blurred(problem, self._found, self._meaning.value) if isinstance(problem, FrontProblem) else None)

    def _looked_at(self) -> Iterator[Point]:
        """The points from evaluating all vectors, if the search could not prove its points and the vectors are few."""
        problem = self._problem
        every = self._every(MOST_LOOKED_AT) if self._every is not None and isinstance(problem, FrontProblem) else None
        if every is None or not isinstance(problem, FrontProblem):
            return
        found = list[Candidate]()
        try:
            for k, x in enumerate(every):
                problem.check_time()
                if k == MOST_LOOKED_AT:
                    return
                if (candidate := problem.candidate(x)) is not None:
                    found.append(candidate)
        except UnsettledError:  # nothing proves whether a vector satisfies the constraints
            return
        given = Given(found, problem.resolution, is_added_up=not self._has_own)
        self._problem = ListedProblem(given, problem.solver, problem.time_limit_s, solves=problem.solves, recorder=problem.recorder)
        self._problem.recorder.words = 0  # the front no longer depends on unproved answers of a solver
        self._made.clear()
        self._found, self._reason = non_dominated(self._problem, found), None
        yield from map(self._point_of, self._found)


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
