"""The two entries: `pareto_front` for a split instance, `trace_front` for any Pyomo MILP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from lmos_opt import algorithms, solvers
from lmos_opt.algorithms.driver import Candidate, FrontProblem, SubproblemError, non_dominated
from lmos_opt.errors import InfeasibleError, InputError, SolverError
from lmos_opt.formulation import Constraint, build_model, describe
from lmos_opt.formulation.memory import MemoryModel, is_alive, peak_step
from lmos_opt.front import Front, ObjectiveInfo, Point, Sense, SolverInfo
from lmos_opt.graph import INPUT
from lmos_opt.instance import Instance
from lmos_opt.milp import Array, LinearForm, Milp, compile_model
from lmos_opt.objectives import Objective
from lmos_opt.objectives import get as find_objective
from lmos_opt.solvers import Solver
from lmos_opt.split import Split
from lmos_opt.units import format_size

T = TypeVar("T", Objective, ObjectiveInfo)
OnPoint = Callable[[Point], None]
"""Called with each point as it is found."""


def pareto_front(
    instance: Instance,
    objectives: Sequence[str | Objective] = ("latency", "memory"),
    *,
    memory_model: MemoryModel = "sum",
    constrain: str | None = None,
    proper_split: bool = False,
    constraints: Sequence[Constraint] = (),
    algorithm: str | None = None,
    solver: str | Solver = "highs",
    time_limit_s: float | None = None,
    resume: Front | None = None,
    on_point: OnPoint | None = None,
) -> Front:
    """The exact Pareto front of a split instance: every non-dominated objective vector once, with an edge set for each.

    `constrain` names Algorithm 1's constrained objective (default `latency`, as in the paper, where it is among them);
    it decides how the front is traced and what the rule `lmos` returns, not which points there are. `constraints` are
    blocks by name or functions `(m, instance) -> relation`. Values are recomputed from the edge sets alone.

    Raises InfeasibleError, naming the constraint, where nothing is feasible. A solver failure, an interruption or the end
    of `time_limit_s` gives the points found so far with `complete=False` and the reason; `resume` takes such a front and
    searches where it left gaps. `on_point` is called with each point as it is found.
    """
    start = perf_counter()
    chosen = _distinct([find_objective(o) for o in objectives])
    names = [objective.name for objective in chosen]
    constrained = _constrained(names, constrain)
    own = bool(constraints) or any(isinstance(o, Objective) for o in objectives)
    model = build_model(instance, memory_model=memory_model, proper_split=proper_split, constraints=constraints,
                        exact_memory=own)
    milp, forms, columns = compile_model(model, [objective.expression(model, instance) for objective in chosen])
    evaluate = _Evaluation(instance, memory_model, proper_split, chosen, forms, model, milp, columns,
                           has_constraints=bool(constraints))
    signs = [1.0 if objective.sense == "min" else -1.0 for objective in chosen]

    def point(candidate: Candidate) -> Point:
        split = evaluate.split(candidate.x)
        values = {o.name: _tidy(sign * cost) for o, sign, cost in zip(chosen, signs, candidate.costs, strict=True)}
        return Point(values=values, edge_layers=split.edge_layers, x1=len(split.edge),
                     x2=len(instance.layers) - len(split.edge))

    problem = _problem(milp, forms, signs, solver, names.index(constrained) if constrained else None, evaluate,
                       [o.granule(instance) if o.granule else None for o in chosen], time_limit_s)
    problem.hints = evaluate.prefixes()
    if resume is not None:
        problem.known = [_known(problem, evaluate.vector(p), p) for p in _resumed(resume, names)]
    found, reason = _run(problem, algorithm, point, on_point)
    if not found and reason is None:
        raise InfeasibleError(instance.name, _blame(instance, memory_model, proper_split, constraints, solver))
    return _front(instance.name, [ObjectiveInfo(name=o.name, unit=o.unit, sense=o.sense) for o in chosen],
                  list(map(point, found)), problem, reason, constrained, start)


def trace_front(
    model: Any,
    objectives: Sequence[Any],
    *,
    constrain: str | None = None,
    algorithm: str | None = None,
    solver: str | Solver = "highs",
    time_limit_s: float | None = None,
    resume: Front | None = None,
    on_point: OnPoint | None = None,
) -> Front:
    """The exact Pareto front of any Pyomo MILP over two or more of its Objective components, each with its own sense.

    The model is only read. Points have `values` by the components' names and `solution` by the variables' names.
    `time_limit_s` (looked at between solves), `resume` and `on_point` are as in `pareto_front`.
    Raises InputError for a model that is not a MILP, InfeasibleError where it is infeasible.
    """
    start = perf_counter()
    infos = _distinct([ObjectiveInfo(name=str(o.name), unit="", sense=_sense(o)) for o in objectives])
    names = [info.name for info in infos]
    constrained = _constrained(names, constrain)
    milp, forms, _ = compile_model(model, objectives)
    signs = [1.0 if info.sense == "min" else -1.0 for info in infos]

    def point(candidate: Candidate) -> Point:
        values = {name: _tidy(sign * cost) for name, sign, cost in zip(names, signs, candidate.costs, strict=True)}
        return Point(values=values, solution=dict(zip(milp.variables, map(_tidy, candidate.x.tolist()), strict=True)))

    problem = _problem(milp, forms, signs, solver, names.index(constrained) if constrained else None, None, (), time_limit_s)
    if resume is not None:
        problem.known = [_known(problem, _vector(milp, p), p) for p in _resumed(resume, names)]
    found, reason = _run(problem, algorithm, point, on_point)
    if not found and reason is None:
        raise InfeasibleError(milp.name, ())
    return _front(milp.name, infos, list(map(point, found)), problem, reason, constrained, start)


class _Evaluation:
    """From a solver's vector to the edge set, and from the edge set alone to everything else: exact costs, a full vector."""

    def __init__(self, instance: Instance, memory_model: MemoryModel, proper_split: bool, chosen: Sequence[Objective],
                 forms: Sequence[LinearForm], model: Any, milp: Milp, columns: dict[int, int],
                 has_constraints: bool) -> None:  # fmt: skip
        self._instance, self._memory_model, self._proper_split = instance, memory_model, proper_split
        self._chosen, self._forms, self._milp = chosen, forms, milp

        def column(variable: Any) -> int:
            return columns[id(variable)]

        self._edge = np.array([column(model.edge[v]) for v in instance.names], dtype=np.int64)
        self._sent = [(u, column(variable)) for u, variable in model.sent.items()]
        self._offload = column(model.offload)
        self._used = columns.get(id(model.used))
        self._step = {v: column(variable) for v, variable in model.step.items()} if hasattr(model, "step") else {}
        self._alive = [(*pair, column(variable)) for pair, variable in model.alive.items()] if self._step else []
        self._has_constraints = has_constraints
        ours = {*self._edge, self._offload, self._used, *self._step.values()}
        ours.update(k for *_, k in (*self._sent, *self._alive))
        own = [k for k in np.flatnonzero(milp.lower < milp.upper) if k not in ours]
        self.decisive = not own or (not has_constraints and all(o.value is not None for o in chosen))
        self.deciders = np.append(self._edge, [] if self.decisive else [k for k in own if milp.integer[k]]).astype(np.int64)

    def split(self, x: Array) -> Split:
        """The edge set of a vector."""
        chosen = x[self._edge] > 0.5
        edge = frozenset(v for v, at_edge in zip(self._instance.names, chosen, strict=True) if at_edge)
        return Split(self._instance, edge, self._memory_model)

    def costs(self, x: Array) -> tuple[float, ...] | None:
        """The costs (senses turned to min) of the vector's edge set; None if it breaks a constraint."""
        split, instance = self.split(x), self._instance
        if any(v in split.edge and u not in split.edge for u, v in instance.arcs if u != INPUT):
            return None
        limit = instance.memory_limit_bytes
        if (limit is not None and split.memory_bytes > limit) or (self._proper_split and not split.is_proper):
            return None
        full = None
        if self._has_constraints:  # a user's rows are checked on the arrays, ours have been
            full = self._completed(x, split)
            if not self._milp.satisfied(full):
                return None
        costs = []
        for objective, form in zip(self._chosen, self._forms, strict=True):
            if objective.value is not None:
                value = objective.value(split)
            else:
                full = self._completed(x, split) if full is None else full
                value = form.at(full)
            costs.append(value if objective.sense == "min" else -value)
        return tuple(costs)

    def vector(self, point: Point) -> Array:
        """A vector with the edge set of a point, NaN beyond it; InputError if it is none of this instance."""
        edge = self._instance.edge_set(point.edge_layers or ())
        x = np.full(len(self._milp.variables), np.nan)
        x[self._edge] = [v in edge for v in self._instance.names]
        return x

    def prefixes(self) -> list[Array]:
        """The cuts after each layer in topological order: solutions to start from, on a chain all there are."""
        found = np.zeros((len(self._edge) + 1, len(self._milp.variables)))
        found[:, self._edge] = np.tri(len(self._edge) + 1, len(self._edge), -1)
        return list(found)

    def _completed(self, x: Array, split: Split) -> Array:
        """The vector with everything that follows from the edge set recomputed from it."""
        full, edge = x.copy(), split.edge
        crossing = set(split.instance.crossing(edge))
        full[self._edge] = [v in edge for v in split.instance.names]
        for u, k in self._sent:
            full[k] = u in crossing
        full[self._offload] = len(edge) < len(split.instance.layers)
        if self._used is not None:
            full[self._used] = bool(edge)
        peak = peak_step(split.instance, edge) if self._step else None
        for v, k in self._step.items():
            full[k] = v == peak
        for v, a, k in self._alive:
            full[k] = v == peak and is_alive(split.instance, edge, a, v)
        return full


def _problem(milp: Milp, forms: Sequence[LinearForm], signs: Sequence[float], solver: str | Solver, constrained: int | None,
             evaluate: _Evaluation | None, granules: Sequence[float | None],
             time_limit_s: float | None) -> FrontProblem:  # fmt: skip
    """The problem with every sense turned to min."""
    j = constrained or 0
    costs = [f if s > 0 else -f for f, s in zip(forms, signs, strict=True)]
    return FrontProblem(milp, costs, solvers.get(solver), evaluate.costs if evaluate else None, granules,
                        evaluate.deciders if evaluate else None, evaluate is not None and evaluate.decisive,
                        1 - j if len(forms) == 2 else 0, j, time_limit_s=time_limit_s)


def _run(problem: FrontProblem, algorithm: str | None, point: Callable[[Candidate], Point],
         on_point: OnPoint | None) -> tuple[list[Candidate], str | None]:  # fmt: skip
    """Run an algorithm; the points known and found, and why it stopped early, if it did.

    What is left of a front that was begun are zones anywhere, so resuming searches by zones.
    """
    chosen = algorithms.get(algorithm or ("local_upper_bounds" if problem.known else None), problem.p)
    found = list(problem.known)
    reason = None
    try:
        for candidate in chosen.trace(problem):
            found.append(candidate)
            if on_point is not None:
                on_point(point(candidate))
    except SubproblemError as error:
        reason = str(error)
    except SolverError as error:
        if not found:
            raise
        reason = str(error)
    except KeyboardInterrupt:
        reason = "interrupted"
    return non_dominated(problem, found), reason or (problem.doubt if found else None)


def _resumed(front: Front, names: list[str]) -> Sequence[Point]:
    """The points of a front to go on from; InputError if it is one over other objectives."""
    if list(front.names) != names:
        raise InputError("resume", f"the front has the objectives {', '.join(front.names)}, not {', '.join(names)}")
    return front.points


def _vector(milp: Milp, point: Point) -> Array:
    """The solution of a point as a vector; InputError if it is one of another model."""
    solution = point.solution or {}
    if set(solution) != set(milp.variables):
        raise InputError("resume", "the front's solutions are over other variables than the model's")
    return np.array([solution[name] for name in milp.variables], dtype=float)


def _known(problem: FrontProblem, x: Array, point: Point) -> Candidate:
    """A point of an earlier run as a candidate, evaluated anew; InputError if it breaks a constraint here."""
    found = problem.candidate(x)
    if found is None:
        raise InputError("resume", f"the front's point {point.values} is not a solution here: "
                                   f"it breaks a constraint of {problem.milp.name}")
    return found


def _front(name: str, infos: Sequence[ObjectiveInfo], points: list[Point], problem: FrontProblem, reason: str | None,
           constrained: str | None, start: float) -> Front:  # fmt: skip
    solver = SolverInfo(name=problem.solver.name, version=problem.solver.version())
    return Front(schema="lmos.front/1", instance=name or "model", objectives=tuple(infos), points=tuple(points),
                 solves=problem.solves, seconds=perf_counter() - start, solver=solver, complete=reason is None,
                 reason=reason, constrained=constrained)


def _blame(instance: Instance, memory_model: MemoryModel, proper_split: bool, constraints: Sequence[Constraint],
           solver: str | Solver) -> list[str]:  # fmt: skip
    """The constraints whose removal, one at a time, makes the instance feasible; all of them where no single one does."""

    def feasible(limit: int | None, proper: bool, kept: Sequence[Constraint]) -> bool:
        relaxed = instance.replace(memory_limit_bytes=limit)
        model = build_model(relaxed, memory_model=memory_model, proper_split=proper, constraints=kept,
                            exact_memory=bool(kept))
        milp, forms, columns = compile_model(model, [model.offload])
        nothing = Objective("offload", "", "min", lambda m, inst: m.offload)
        evaluate = _Evaluation(relaxed, memory_model, proper, [nothing], forms, model, milp, columns,
                               has_constraints=bool(kept))
        problem = FrontProblem(milp, forms, solvers.get(solver), evaluate.costs, deciders=evaluate.deciders,
                               decisive=evaluate.decisive)
        return problem.best(0, {}) is not None

    limit = instance.memory_limit_bytes
    relaxations: list[tuple[str, tuple[int | None, bool, Sequence[Constraint]]]] = []
    if limit is not None:
        relaxations.append((f"memory limit {limit} B ({format_size(limit)}, model {memory_model})",
                            (None, proper_split, constraints)))
    if proper_split:
        relaxations.append(("proper split (1 <= x1 <= L-1)", (limit, False, constraints)))
    relaxations += [(describe(c), (limit, proper_split, [d for d in constraints if d is not c])) for c in constraints]
    culprits = [name for name, kept in relaxations if feasible(*kept)]
    return culprits or [name for name, _ in relaxations]


def _distinct(found: list[T]) -> list[T]:
    names = [o.name for o in found]
    if not names:
        raise InputError("objectives", "there are none; expected at least one")
    if len(set(names)) < len(names):
        raise InputError("objectives", f"{', '.join(names)}: expected each once")
    return found


def _constrained(names: list[str], asked: str | None) -> str | None:
    """Algorithm 1's j: as asked, else latency (the paper's choice), else the second objective."""
    if asked is not None and asked not in names:
        raise InputError("constrain", f"{asked!r} is not among the objectives {', '.join(names)}")
    if len(names) != 2:
        return asked
    return asked or ("latency" if "latency" in names else names[1])


def _sense(objective: Any) -> Sense:
    return "min" if objective.is_minimizing() else "max"


def _tidy(value: float) -> int | float:
    """Whole numbers as int, and no negative zero."""
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)
