"""The common part of all front algorithms: subproblems whose answers are checked on exactly recomputed values.

Solvers compute with tolerances; objective values reach from microseconds to gigabytes. So
- every objective is scaled, as a cost and as a row, until its spread is at most SPREAD, or its granule is one;
- a bound never lies at a value but half a granule beside it, or, for real values, a STEP beside it;
- a solution's integers are rounded and its objective values recomputed; if it breaks a bound (a binary of 1 - 1e-9 hides a byte in
  a gigabyte), it is excluded and the subproblem is solved again;
- answers are certified by `branching` if everything is bounded; an integer solver's own answer counts only if its tolerances cannot
  change it (`belief`), and even then "infeasible", which no known solution contradicts, must be found twice, with different
  settings. If neither gives a proof, the front is not complete, and `doubt` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from math import fsum, inf, isfinite
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from lmos_opt.algorithms.belief import disbelief, unbounded
from lmos_opt.algorithms.branching import BranchAndBound, Found, UnsettledError
from lmos_opt.algorithms.errors import SubproblemError, TradeOffError
from lmos_opt.algorithms.listed import Listing, check_time
from lmos_opt.algorithms.recording import Counted, Recorder
from lmos_opt.algorithms.refinement import Refinement
from lmos_opt.algorithms.scaling import SPREAD, indistinct, scale_of
from lmos_opt.algorithms.sieve import Sieve
from lmos_opt.algorithms.subproblems import Candidate, Limit, at_most, below, exceeded
from lmos_opt.errors import InputError
from lmos_opt.placement.blocks import Placing
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.solvers import Outcome, Session, Solver, Status, Stretched

__all__ = ["Candidate", "FrontProblem", "Limit", "at_most", "below"]

NODE_LIMIT = 200_000
"""The most nodes of a certified search on a general model. A search over splits has no limit."""
MOST_EXCLUSIONS = 60
"""The most solutions that are excluded from one subproblem. With more, it counts as numerically too hard."""


class _Footing(Enum):
    """What the answers so far depend on."""

    PROOF = auto()
    """The certified search."""
    WORD = auto()
    """Answers of the integer solver, none of them "infeasible" so far. If it fails, the certified search takes over (PROOF)."""
    RELIED = auto()
    """Answers of the integer solver, one of them "infeasible" or one that the certified search could not prove. This stays so."""


@dataclass
class FrontProblem:
    """A MILP with costs to minimise, loaded into a solver once. Algorithms call its `best` and `refine`.

    `exact(x)` gives the exact costs of a solution with rounded integers, or None if it breaks a constraint; without it they are
    computed from the arrays. `granules` are those that do not follow from coefficients. `deciders` are the columns to branch on
    (default: the integers); they are `decisive` if `exact` needs no others. `follow` narrows a box of fixed deciders. `optimised`
    and `constrained` are i and j of Algorithm 1, `known` points of an earlier run, `hints` vectors to start from. `placing` and
    `listing` are the problem for algorithms that place blocks, or evaluate every split. `names` are those of costs, for messages.
    `step` is for each cost the distance of points. After `time_limit_s` (s) the next subproblem, or node, raises SubproblemError.
    """

    milp: Milp
    forms: Sequence[LinearForm]
    solver: Solver
    exact: Callable[[Array], tuple[float, ...] | None] | None = None
    granules: Sequence[float | None] = ()
    deciders: NDArray[np.int64] | None = None
    decisive: bool = False
    follow: Callable[[Array, Array], tuple[Array, Array]] | None = None
    optimised: int = 0
    constrained: int = 1
    known: Sequence[Candidate] = ()
    hints: Sequence[Array] = ()
    time_limit_s: float | None = None
    names: Sequence[str] = ()
    step: Sequence[float] | None = None
    placing: Placing | None = None
    listing: Listing | None = None
    recorder: Recorder = field(default_factory=Recorder)
    """The record of the search. It counts the calls of `solver`."""
    start: float = field(default_factory=perf_counter)
    doubt: str | None = field(default=None, init=False)
    """Why the front is not complete although every subproblem had an answer; None if there is no reason."""
    bound: float | None = field(default=None, init=False)
    """With one objective, the proved lower bound of its cost; None if nothing is proved yet."""
    _settled: dict[bytes, Candidate] = field(default_factory=dict, init=False)
    """For each assignment of the integers that was found, one point of the front."""

    def __post_init__(self) -> None:
        self.solver = counted = self.solver if isinstance(self.solver, Counted) else Counted(self.solver, self.recorder)
        granules = self.granules or [None] * self.p
        names = self.names or [str(k) for k in range(self.p)]
        steps: Sequence[float | None] = self.step or [None] * self.p
        self.scales = [scale_of(self.milp, form, granule, self.decisive, wanted)
                        for form, granule, wanted in zip(self.forms, granules, steps, strict=True)]
        self._rows = [LinearForm(s.form.columns, s.factor * s.form.coefficients) for s in self.scales]
        self._program = self.milp.scaled(SPREAD)
        self._disbelief = disbelief(self.milp, self.forms, [s.granule for s in self.scales], names)
        if self._disbelief is None and (given := counted.settings.decisive):
            self._disbelief = f"the solver's options {', '.join(given)} may change what it calls best"
        proved = self.deciders is not None or self._disbelief is not None
        self._certifiable = self.solver.relaxes and unbounded(self.milp) is None
        self._footing = _Footing.PROOF if proved and self._certifiable else _Footing.WORD
        self._refinement: Refinement
        self._sieve: Sieve | None = None
        if self.exact is None and self.step is None:
            self._sieve = Sieve.of(self.milp, self.forms, [s.granule for s in self.scales], self.solver)
            if self._footing is _Footing.PROOF:
                self.doubt = indistinct(self.milp, names, self.scales)

    @cached_property
    def _pool(self) -> list[Candidate]:
        """Solutions met so far: each search starts from the best of them that its limits admit."""
        hinted = ((x, self._costs(x)) for x in self.hints)
        return [*self.known, *(Candidate(x, costs) for x, costs in hinted if costs is not None)]

    def met(self, candidate: Candidate) -> None:
        """Remember a solution: searches start from the best one that their limits admit."""
        self._pool.append(candidate)

    @property
    def incumbent(self) -> Candidate | None:
        """The best solution so far, with one objective."""
        return self._best_known((0,), {}, None) if self.p == 1 else None

    @cached_property
    def _session(self) -> Session:
        return self.solver.open(self._program, self._rows)

    @cached_property
    def _tree(self) -> BranchAndBound:
        deciders = self.milp.integer_columns if self.deciders is None else self.deciders
        is_open = self.milp.lower < self.milp.upper
        is_open[deciders] = False
        if self.decisive or not is_open.any():
            return BranchAndBound(self._program, self._rows, self.solver.relax(self._program, self._rows), deciders, True)
        # units are powers of two, so scaling changes no digit
        size = np.maximum(np.abs(self.milp.lower), np.abs(self.milp.upper))
        width = np.maximum(self.milp.upper - self.milp.lower, 1e-3 * size)
        units = np.where(is_open, np.exp2(np.round(np.log2(np.where(is_open, width, 1.0)))), 1.0)
        program = self.milp.spread_evenly(SPREAD)
        relaxation = Stretched(self.solver.relax, program, self._rows, units)
        self._refinement = Refinement(program, self._rows, units, self.solver)
        return BranchAndBound(program, self._rows, relaxation, deciders, False, self._refinement, self.follow)

    @cached_property
    def _sum(self) -> LinearForm:
        """All scaled costs together."""
        return LinearForm.sum_of(self._rows)

    def check_time(self) -> None:
        """Raise SubproblemError after the time limit."""
        check_time(self.start, self.time_limit_s)

    def _each_node(self, nodes: int = 1) -> None:
        self.recorder.nodes += nodes
        self.check_time()

    @property
    def solves(self) -> int:
        """The number of integer programs solved."""
        return self.recorder.solves

    @property
    def p(self) -> int:
        """The number of objectives."""
        return len(self.forms)

    def is_less(self, k: int, a: float, b: float) -> bool:
        """Whether cost a is less than cost b in objective k by more than its resolution."""
        return a < b - self.scales[k].resolution

    def dominates(self, a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        """Whether a is at least as good as b in every cost, up to the resolution (equal costs dominate each other)."""
        return not any(self.is_less(k, b[k], a[k]) for k in range(self.p))

    @property
    def resolution(self) -> Array:
        """The least difference between two costs that count as different, one entry for each objective."""
        return np.array([scale.resolution for scale in self.scales]) if self.listing is None else self.listing.resolution

    def best(self, k: int, limits: dict[int, Limit], witness: Candidate | None = None) -> Candidate | None:
        """A solution of least cost k within the limits; None if it is proved that there is none.

        `witness` is a solution known to be within the limits: an answer that contradicts it is rejected. Raises SubproblemError if
        none of the solver's sets of settings gives a valid answer.
        """
        return self._solve(self._rows[k], (k,), limits, witness)

    def refine(self, candidate: Candidate) -> Candidate:
        """A non-dominated solution that is at least as good as the candidate in every cost: the least sum of scaled costs."""
        limits = {k: at_most(candidate.costs[k]) for k in range(self.p)}
        return self._solve(self._sum, tuple(range(self.p)), limits, candidate) or candidate

    def check_trade_off(self, candidate: Candidate) -> None:
        """Raise TradeOffError if the candidate and an earlier one, both on the front, differ only in continuous variables.

        With the integers fixed a program is linear, and its non-dominated set is connected: two points mean infinitely many. Those
        near one of the two points are on the front too, because nothing else dominates that point.
        """
        if self.decisive or self.step is not None or self.milp.integer.all():
            return
        key = np.rint(candidate.x[self.milp.integer_columns]).astype(np.int64).tobytes()
        other = self._settled.setdefault(key, candidate)
        if not (self.dominates(candidate.costs, other.costs) and self.dominates(other.costs, candidate.costs)):
            moved = np.where(self.milp.integer, 0.0, np.abs(candidate.x - other.x))
            raise TradeOffError([self.milp.variables[k] for k in np.flatnonzero(moved > 1e-3 * moved.max())])

    def ask_for(self, known: Candidate) -> None:
        """Raise SubproblemError if the solver does not find a known solution, although its answer counts for empty regions.

        Called at an algorithm's end, it detects a solver that no longer answers and calls everything infeasible.
        """
        if self._footing is _Footing.RELIED:
            with self.recorder.step((0,), {}) as answer:
                answer.append(self._climbed(self._rows[0], (0,), {}, {}, known))

    def _solve(self, objective: LinearForm, judged: tuple[int, ...], limits: dict[int, Limit],
               witness: Candidate | None) -> Candidate | None:  # fmt: skip
        self.check_time()
        limits = {k: limit for k, limit in limits.items() if isfinite(limit.value)}
        with self.recorder.step(judged, limits) as answer:
            answer.append(self._answer(objective, judged, limits, witness))
        return answer[0]

    def _answer(self, objective: LinearForm, judged: tuple[int, ...], limits: dict[int, Limit],
                witness: Candidate | None) -> Candidate | None:  # fmt: skip
        if self._sieve is not None:
            try:
                return self._sifted(self._sieve, judged, limits, self._best_known(judged, limits, witness))
            except UnsettledError:
                self._sieve = None
        bounds = {len(self.milp.rows) + k: self.scales[k].row_bound(limit.value, limit.strict) for k, limit in limits.items()}
        if self._footing is _Footing.PROOF:
            try:
                return self._search(objective, judged, limits, bounds, witness)
            except UnsettledError as error:
                self._footing = _Footing.RELIED
                if self._disbelief is not None:
                    self._disbelief = f"{self._disbelief}, and {error}"
        if self._disbelief is not None and not self.solver.exact:
            self.doubt = f"{self._disbelief}: solver {self.solver.name}'s word is no proof here, there may be more points"
        try:
            return self._climbed(objective, judged, limits, bounds, witness)
        except SubproblemError as error:
            ended = error.status in (Status.TIME_LIMIT, Status.INTERRUPTED)
            if ended or self._footing is _Footing.RELIED or not self._certifiable:
                raise
        self._footing = _Footing.PROOF  # no set of settings gave an answer: the certified search may
        return self._answer(objective, judged, limits, witness)

    def _sifted(self, sieve: Sieve, judged: tuple[int, ...], limits: dict[int, Limit], known: Candidate | None) -> Candidate | None:
        self.recorder.solves += 1
        found = sieve.search(judged, limits, known, self._costs, self._each_node)
        if found is None:
            return known
        self.met(found)
        return found

    def _climbed(self, objective: LinearForm, judged: tuple[int, ...], limits: dict[int, Limit], bounds: dict[int, float],
                 witness: Candidate | None) -> Candidate | None:  # fmt: skip
        """The integer solver's answer with the first set of settings whose answer nothing contradicts."""
        infeasible = 0
        self.recorder.words += self._disbelief is not None and not self.solver.exact
        outcome = Outcome(Status.FAILED)
        for attempt in range(self.solver.attempts):
            outcome = self._solve_with(objective, limits, bounds, attempt)
            if outcome.status is Status.UNBOUNDED:
                named = [name for k, name in enumerate(self.names) if k in judged] if len(judged) == 1 else []
                raise InputError(self.milp.name, f"objective {named[0]} is unbounded" if named else "an objective is unbounded")
            if outcome.status is Status.INFEASIBLE:
                infeasible += 1
                if witness is None and infeasible == min(2, self.solver.attempts):
                    self._footing = _Footing.RELIED
                    return None
            if outcome.status is Status.OPTIMAL and outcome.x is not None:
                costs = self._costs(outcome.x)
                assert costs is not None  # _climb excludes what breaks a constraint
                if witness is None or not self._is_worse(judged, costs, witness.costs):
                    return Candidate(outcome.x, costs)
            if outcome.status in (Status.TIME_LIMIT, Status.INTERRUPTED):
                break
        raise SubproblemError(outcome.status, f"a subproblem ended with the status {outcome.message or outcome.status!r}"
                              + (", which a known solution contradicts" if witness is not None else ""))

    def _search(self, objective: LinearForm, judged: tuple[int, ...], limits: dict[int, Limit],
                bounds: dict[int, float], witness: Candidate | None) -> Candidate | None:  # fmt: skip
        """The answer of the certified search."""
        def evaluate(x: Array) -> float | None:
            costs = self._costs(x)
            if costs is None or not self._within(costs, limits):
                return None
            cost = self._scaled(costs, judged)
            if not met or cost < met[-1]:
                met.append(cost)
                self._pool.append(Candidate(x, costs))
            return cost

        witness = self._best_known(judged, limits, witness)
        known = None if witness is None else Found(witness.x, self._scaled(witness.costs, judged))
        met: list[float] = [] if known is None else [known.cost]
        gap = min(self.scales[k].gap for k in judged) / len(judged)
        limit = NODE_LIMIT if self.deciders is None else inf
        self.recorder.solves += 1
        try:
            found = self._tree.search(objective, bounds, evaluate, gap, known, limit, self._each_node)
        except (SubproblemError, KeyboardInterrupt):
            self._note_bound(min([self._tree.bound_left, *(cost - gap for cost in met[-1:])]))
            raise
        if found is None or (witness is not None and found is known):
            return witness
        costs = self._costs(found.x)
        assert costs is not None  # evaluate refuses what breaks a constraint
        return self._sharpened(Candidate(found.x, costs))

    def _note_bound(self, scaled: float) -> None:
        """Record the bound that the search of a single objective has proved; `scaled` is in the units of the search."""
        proved = float(scaled / self.scales[0].factor + self.scales[0].form.constant)
        if self.p == 1 and isfinite(proved):
            self.bound = max(proved, -inf if self.bound is None else self.bound)

    def _sharpened(self, candidate: Candidate) -> Candidate:
        """The candidate with the best continuous values for its integers. Limits have slacks, so its own may not be the best."""
        if self._tree.decisive:
            return candidate
        limits = {k: at_most(candidate.costs[k]) for k in range(self.p)}
        bounds = {len(self.milp.rows) + k: self.scales[k].row_bound(limit.value, limit.strict) for k, limit in limits.items()}
        x = candidate.x
        for _ in range(2):
            x = self._refinement.refined(x, self._sum, bounds)
            costs = self._costs(x)
            if costs is not None and self._within(costs, limits):
                candidate = Candidate(x, costs)
        return candidate

    def _scaled(self, costs: tuple[float, ...], judged: Sequence[int]) -> float:
        """The sum of the judged costs on the scale of the search."""
        return fsum(self.scales[k].factor * (costs[k] - self.scales[k].form.constant) for k in judged)

    def _best_known(self, judged: tuple[int, ...], limits: dict[int, Limit], witness: Candidate | None) -> Candidate | None:
        """The best solution met so far within the limits, the witness among them."""
        costs = np.array([candidate.costs for candidate in self._pool]).reshape(-1, self.p)
        allowed = np.ones(len(costs), dtype=bool)
        for k, limit in limits.items():
            allowed &= limit.admits(costs[:, k], self.scales[k].resolution)
        found = [*(self._pool[k] for k in np.flatnonzero(allowed)), *([] if witness is None else [witness])]
        return min(found, default=None, key=lambda c: sum(self.scales[k].factor * c.costs[k] for k in judged))

    def _is_worse(self, judged: tuple[int, ...], costs: tuple[float, ...], known: tuple[float, ...]) -> bool:
        if len(judged) == 1:
            return self.is_less(judged[0], known[judged[0]], costs[judged[0]])
        return not self.dominates(costs, known)

    def _solve_with(self, objective: LinearForm, limits: dict[int, Limit], bounds: dict[int, float], attempt: int) -> Outcome:
        """Solve with one set of settings, excluding solutions that hold only within the solver's tolerances."""
        excluded: list[Array] = []
        while True:
            outcome = self._session.solve(objective, bounds, excluded, attempt)
            if outcome.status is not Status.OPTIMAL or outcome.x is None:
                return outcome
            x = outcome.x.copy()
            columns = self.milp.integer_columns
            x[columns] = np.rint(x[columns])
            costs = self._costs(x)
            if costs is not None and self._within(costs, limits):
                return Outcome(Status.OPTIMAL, x, outcome.message)
            if not self.milp.is_binary or len(excluded) == MOST_EXCLUSIONS:
                broken = self.milp.broken(x) or exceeded(costs, limits, self.resolution, self.names)
                return Outcome(Status.FAILED, None, f"solutions hold only within the solver's tolerances, {broken} is broken")
            excluded.append(x)

    def _within(self, costs: tuple[float, ...], limits: dict[int, Limit]) -> bool:
        return all(limit.admits(costs[k], self.scales[k].resolution) for k, limit in limits.items())

    def candidate(self, x: Array) -> Candidate | None:
        """A vector as a candidate, with a solve for its NaN entries; None if it breaks a constraint."""
        if np.isnan(x).any():
            is_settled = self.decisive and not np.isnan(x[self.deciders]).any()
            if is_settled or not self.solver.relaxes:
                x = np.where(np.isnan(x), np.clip(0.0, self.milp.lower, self.milp.upper), x)
            else:
                completed = self._tree.completed(x, lambda x: self._costs(x) is not None, NODE_LIMIT)
                if completed is None:
                    return None
                x = completed
        costs = self._costs(x)
        return None if costs is None else Candidate(x, costs)

    def _costs(self, x: Array) -> tuple[float, ...] | None:
        if self.exact is not None:
            return self.exact(x)
        return tuple(form.at(x) for form in self.forms) if self.milp.satisfied(x) else None
