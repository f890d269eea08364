"""A record of a search while it works: its linear programs are counted, its subproblems recorded one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from lmos_opt.algorithms.errors import SubproblemError
from lmos_opt.algorithms.subproblems import Candidate, Limit
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Outcome, Relaxation, Relaxed, Session, Solver
from lmos_opt.solvers.settings import Settings, settings_of


@dataclass(frozen=True)
class Totals:
    """The work so far. `words` counts the answers that rest on an integer solver's own answer."""

    solves: int = 0
    lps: int = 0
    nodes: int = 0
    words: int = 0
    lp_s: float = 0.0


@dataclass(frozen=True)
class Step:
    """A subproblem: the costs that were minimised, their limits, its answer, its work, and its seconds.

    `found` is None if nothing is within the limits (the outcome is `infeasible`) or if it ended without an answer.
    """

    judged: tuple[int, ...]
    limits: Mapping[int, Limit]
    found: Candidate | None
    outcome: str
    took: Totals
    seconds: float


@dataclass
class Recorder:
    """Counts for a whole search; `steps` are its subproblems in order, and `on_step` is called with each when it ends."""

    solves: int = 0
    lps: int = 0
    nodes: int = 0
    words: int = 0
    lp_s: float = 0.0
    steps: list[Step] = field(default_factory=list)
    on_step: Callable[[Step], None] | None = None

    @property
    def totals(self) -> Totals:
        """The counts so far."""
        return Totals(self.solves, self.lps, self.nodes, self.words, self.lp_s)

    @contextmanager
    def step(self, judged: tuple[int, ...], limits: Mapping[int, Limit]) -> Iterator[list[Candidate | None]]:
        """Record what happens inside as one subproblem; its answer is put into the list."""
        before, start, answer = self.totals, perf_counter(), list[Candidate | None]()
        outcome = "failed"
        try:
            yield answer
            outcome = "infeasible" if answer[0] is None else "optimal"
        except SubproblemError as error:
            outcome = error.status.value
            raise
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            took = Totals(self.solves - before.solves, self.lps - before.lps, self.nodes - before.nodes,
                          self.words - before.words, self.lp_s - before.lp_s)  # fmt: skip
            found = answer[0] if answer else None
            self.steps.append(Step(judged, limits, found, outcome, took, perf_counter() - start))
            if self.on_step is not None:
                self.on_step(self.steps[-1])


@dataclass(frozen=True)
class Counted:
    """A solver whose linear programs, and their time, are counted."""

    solver: Solver
    recorder: Recorder

    @property
    def name(self) -> str:
        """See `Solver.name`."""
        return self.solver.name

    @property
    def attempts(self) -> int:
        """See `Solver.attempts`."""
        return self.solver.attempts

    @property
    def relaxes(self) -> bool:
        """See `Solver.relaxes`."""
        return self.solver.relaxes

    @property
    def exact(self) -> bool:
        """See `Solver.exact`."""
        return self.solver.exact

    @property
    def settings(self) -> Settings:
        """What the solver works with."""
        return settings_of(self.solver)

    def version(self) -> str:
        """See `Solver.version`."""
        return self.solver.version()

    def open(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> Session:
        """See `Solver.open`."""
        return _CountedSession(self.solver.open(milp, extra_rows), self.recorder)

    def relax(self, milp: Milp, extra_rows: Sequence[LinearForm]) -> Relaxation:
        """See `Solver.relax`."""
        return _CountedRelaxation(self.solver.relax(milp, extra_rows), self.recorder)


class _CountedSession:
    """Integer programs that a solver settles itself."""

    def __init__(self, inner: Session, recorder: Recorder) -> None:
        self._inner, self._recorder = inner, recorder

    def solve(self, objective: LinearForm, row_upper: dict[int, float], excluded: Sequence[Array], attempt: int) -> Outcome:
        self._recorder.solves += 1
        return self._inner.solve(objective, row_upper, excluded, attempt)


class _CountedRelaxation:
    """Linear programs."""

    def __init__(self, inner: Relaxation, recorder: Recorder) -> None:
        self._inner, self._recorder = inner, recorder

    def pose(self, objective: LinearForm, row_upper: dict[int, float]) -> None:
        self._inner.pose(objective, row_upper)

    def forget(self) -> None:
        self._inner.forget()

    def solve(self, lower: Array, upper: Array) -> Relaxed:
        start = perf_counter()
        try:
            return self._inner.solve(lower, upper)
        finally:
            self._recorder.lps += 1
            self._recorder.lp_s += perf_counter() - start
