"""The entries: `pareto_front` for a split instance, `trace_front` for any Pyomo MILP, `iter_front` for either, point by point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from time import perf_counter
from typing import Any, TypeVar, Unpack

import numpy as np

from lmos_opt import algorithms, solvers
from lmos_opt.algorithms import Algorithm, enumeration, layerwise
from lmos_opt.algorithms.driver import FrontProblem
from lmos_opt.algorithms.listed import ListedProblem, check_time
from lmos_opt.algorithms.subproblems import Candidate
from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.formulation import build_model
from lmos_opt.formulation.memory import checked_model
from lmos_opt.front import Front, ObjectiveInfo, Point, Sense
from lmos_opt.fronts.evaluation import Evaluation
from lmos_opt.fronts.growing import GrowingFront, Meaning, Run
from lmos_opt.fronts.infeasible import in_the_way
from lmos_opt.fronts.limits import has_own, shipped, with_limits
from lmos_opt.fronts.listed import Columns, LayerwiseSplits, ListedSplits, beside_model, looked_at, without_model
from lmos_opt.fronts.options import FrontKeywords, FrontOptions, SearchKeywords, SearchOptions
from lmos_opt.fronts.single import why_one_point
from lmos_opt.instance import Instance
from lmos_opt.listing.splits import Splits
from lmos_opt.objectives import Objective
from lmos_opt.objectives import get as find_objective
from lmos_opt.programs.compiling import compile_model
from lmos_opt.programs.milp import Array, LinearForm, Milp
from lmos_opt.programs.presolve import presolve
from lmos_opt.programs.shifting import presolved
from lmos_opt.solvers import Solver

T = TypeVar("T", Objective, ObjectiveInfo)
OnPoint = Callable[[Point], None]
"""Called with each point as it is found."""
ORDINARY_SEARCH, ORDINARY_FRONT = SearchOptions(), FrontOptions()


def pareto_front(instance: Instance, objectives: Sequence[str | Objective] = ("latency", "memory"),
                 options: FrontOptions = ORDINARY_FRONT, *, on_point: OnPoint | None = None,
                 **changes: Unpack[FrontKeywords]) -> Front:  # fmt: skip
    """The exact Pareto front of a split instance: every non-dominated objective vector once, with an edge set for each.

    `objectives` are names (docs/reference/objectives.md) or Objectives of your own. The keywords are the fields of
    `lmos_opt.fronts.options.FrontOptions`, which describes them: `memory_model`, `proper_split`, `constraints`, `variables`,
    `limits`, `constrain`, `algorithm`, `solver`, `solver_options`, `time_limit_s`, `resume`, `step` and `log`. Each replaces the
    field of `options` that has its name. `constrain` is `latency` by default, as in the paper, if that is among the objectives. The
    values of variables that the user adds, by `variables`, a constraint or an objective, are in each point's `solution` by name.
    Objective values are recomputed only from the edge sets (and the user's variables).

    Raises InputError for options that cannot be used, for example an objective whose `value` contradicts its `expression`, and
    InfeasibleError, which names the constraints, if nothing is feasible. If a solver fails, the user interrupts, or `time_limit_s`
    is over, the front has the points found so far, `complete=False` and the reason. `on_point` is called with each point when it is
    found; `iter_front` yields the points.
    """
    return _split_front(instance, objectives, replace(options, **changes)).run(on_point)


def trace_front(model: Any, objectives: Sequence[Any], options: SearchOptions = ORDINARY_SEARCH, *,
                on_point: OnPoint | None = None, **changes: Unpack[SearchKeywords]) -> Front:  # fmt: skip
    """The exact Pareto front of any Pyomo MILP over one or more of its Objective components, each with its own sense.

    The model is only read. Points have `values` by the components' names and `solution` by the variables' names. The keywords are
    the fields of `lmos_opt.fronts.options.SearchOptions`: `constrain`, `algorithm`, `solver`, `solver_options`, `time_limit_s`,
    `resume`, `step` and `log`. `on_point` is as in `pareto_front`. If continuous variables trade objectives off, there are
    infinitely many points: the front is then incomplete and its reason names the variables, unless `step` gives the distance
    between points, a number for each objective. Raises InputError for a model that is not a MILP, InfeasibleError if it is
    infeasible.
    """
    return _model_front(model, objectives, replace(options, **changes)).run(on_point)


def iter_front(source: Any, objectives: Sequence[Any] = ("latency", "memory"), **options: Any) -> GrowingFront:
    """The points of a front when they are found; `source` is an Instance or a Pyomo model.

    The options are those of `pareto_front` and `trace_front`, except `on_point`. The returned iterator has the front so far as
    `front`, which is complete after the iteration has ended:

    >>> from lmos_opt import Instance, iter_front
    >>> layer = {"name": "a", "inputs": ["input"], "t_edge_s": 0.5, "t_server_s": 0.1, "weight_bytes": 8, "output_bytes": 4}
    >>> instance = Instance.from_dict({"schema": "lmos.instance/1", "name": "toy", "input_bytes": 100, "rtt_s": 0.0,
    ...     "bandwidth_bytes_per_s": 1000.0, "memory_limit_bytes": None, "layers": [layer]})
    >>> found = iter_front(instance)
    >>> sorted(point.x1 for point in found), found.front.complete
    ([0, 1], True)
    """
    if isinstance(source, Instance):
        return _split_front(source, objectives, FrontOptions(**options))
    return _model_front(source, objectives, SearchOptions(**options))


@dataclass(frozen=True)
class _Asked:
    """The objectives as the engine takes them: their names, their senses (1 to minimise, -1 to maximise), their linear forms,
    and Algorithm 1's constrained one, if there is one."""

    names: Sequence[str]
    signs: Sequence[float]
    forms: Sequence[LinearForm]
    constrained: str | None

    @property
    def costs(self) -> list[LinearForm]:
        """The forms of the objectives as costs to minimise."""
        return [form if sign > 0 else -form for form, sign in zip(self.forms, self.signs, strict=True)]


def _split_front(instance: Instance, objectives: Sequence[str | Objective], options: FrontOptions) -> GrowingFront:
    if not isinstance(instance, Instance):
        raise InputError("instance", f"got {instance!r:.60}; expected an Instance, as Instance.load reads it from a file")
    _check_several(objectives)
    chosen = _distinct([find_objective(o) for o in objectives])
    names = [objective.name for objective in chosen]
    constrained = _constrained(names, options.constrain)
    options = with_limits(options, objectives)
    limits, own = shipped(options.constraints), has_own(objectives, options)
    asked = None if options.algorithm is None else algorithms.get(options.algorithm, len(names))
    begun = _ready(options)[1]
    splits = Splits.of(instance, checked_model(options.memory_model)) if asked == enumeration.ALGORITHM else None
    if not own and (listing := _listing(instance, chosen, options, asked, splits, begun)) is not None:
        return _front_of(listing, instance, chosen, options, begun, _why_one(instance, chosen, options, is_free=True))
    if asked == layerwise.ALGORITHM:
        raise InputError("algorithm", layerwise.WHAT_FOR)
    from lmos_opt.fronts.own_objectives import expression_of, granule_of

    solver, start = _ready(options)
    model = build_model(instance, memory_model=options.memory_model, proper_split=options.proper_split,
                        variables=options.variables, constraints=options.constraints, exact_memory=own or bool(limits))  # fmt: skip
    signs = [1.0 if objective.sense == "min" else -1.0 for objective in chosen]
    milp, forms, columns = compile_model(model, [expression_of(o, model, instance, is_shipped=isinstance(asked, str))
                                                 for asked, o in zip(objectives, chosen, strict=True)])
    goals = _Asked(names, signs, forms, constrained)

    def infeasible() -> InfeasibleError:
        return InfeasibleError(instance.name, in_the_way(instance, options))

    evaluate = Evaluation(instance, options.memory_model, options.proper_split, chosen, forms, model, milp, columns)
    if own and splits is None:  # ours have nothing to tighten
        try:
            milp = presolve(evaluate.followed(milp, goals.costs), goals.costs)
        except InfeasibleError as error:
            raise infeasible() from error
    alike: ListedSplits | None = None

    def point(candidate: Candidate) -> Point:
        if own:
            evaluate.check(candidate.x)
        split, costs = evaluate.split(candidate.x), candidate.costs
        if alike is not None and (first := alike.first(costs)) is not None:
            split, costs = alike.split(int(first.x[0])), first.costs
        values = {o.name: _tidy(sign * cost) for o, sign, cost in zip(chosen, signs, costs, strict=True)}
        solution = evaluate.solution(candidate.x)
        named = None if solution is None else {name: _tidy(x) for name, x in solution.items()}
        return Point.at(values, split.places, named, split.codecs if instance.codecs else None)

    problem = _problem(milp, goals, solver, options, evaluate, [granule_of(o, instance) for o in chosen])
    if not own and not limits and names == ["load"]:
        problem.placing = evaluate.placing()
    if splits is not None:
        of_model = Columns(model, milp, columns, splits)
        problem.listing = beside_model(of_model, chosen, forms, _exactly(of_model.splits, evaluate, problem), problem.resolution,
                                       options.proper_split, limits)  # fmt: skip
    elif problem.placing is None:
        problem.hints = evaluate.prefixes()
        few = None if own or any(o.each is None for o in chosen) else Splits.of_few(instance, checked_model(options.memory_model))
        alike = None if few is None else without_model(few, chosen, options.proper_split, limits)
    if options.resume is not None:
        problem.known = [_known(problem, evaluate.vector(p), p) for p in _resumed(options.resume, names)]
    meaning = Meaning(point, infeasible, lambda k, cost: _tidy(signs[k] * cost),
                      _why_one(instance, chosen, options, is_free=not own))  # fmt: skip
    return GrowingFront(instance.name, _infos(chosen), problem, _algorithm(options.algorithm, problem), meaning,
                        Run(constrained, start, options.log, None if options.step else evaluate.every, own))  # fmt: skip


def _why_one(instance: Instance, chosen: Sequence[Objective], options: FrontOptions, *, is_free: bool) -> Callable[[Point], str]:
    def why_one(point: Point) -> str:
        return why_one_point(point, chosen, instance, options.memory_model, proper_split=options.proper_split, is_free=is_free,
                             is_held=bool(options.constraints or options.variables))

    return why_one


def _is_free(options: FrontOptions) -> bool:
    """Whether nothing is asked for that a search alone has: an algorithm, a solver, its options, a log, a step, a begun front."""
    asked = (options.algorithm, options.log, options.step, options.resume)
    return options.solver == ORDINARY_FRONT.solver and not options.solver_options and all(one is None for one in asked)


def _exactly(splits: Splits, evaluate: Evaluation, problem: FrontProblem) -> Callable[[int], Candidate | None]:
    """A listed split as a candidate. InputError where variables of the user's are decided beside it."""
    if evaluate.users:
        raise InputError("algorithm", f"enumeration looks at where layers run, and variable {evaluate.users[0]} is decided beside "
                                      "that; leave it out, or name another algorithm")
    return lambda k: problem.candidate(evaluate.at(splits.shape.upto(k)))


def _infos(chosen: Sequence[Objective]) -> list[ObjectiveInfo]:
    return [ObjectiveInfo(name=o.name, unit=o.unit, sense=o.sense) for o in chosen]


def _listing(instance: Instance, chosen: Sequence[Objective], options: FrontOptions, asked: Algorithm | None, splits: Splits | None,
             begun: float) -> ListedSplits | LayerwiseSplits | None:  # fmt: skip
    """The enumeration that replaces the search: the one that was asked for, or one that is less work; None for a search."""
    memory_model, limit_s, limits = checked_model(options.memory_model), _limit_s(options), shipped(options.constraints)
    if splits is not None:
        return without_model(splits, chosen, options.proper_split, limits) if all(o.each is not None for o in chosen) else None
    if asked == layerwise.ALGORITHM:
        return None if limits else LayerwiseSplits.of(instance, memory_model, chosen, options.proper_split)
    if _is_free(options) and [o.name for o in chosen] != ["load"] and all(o.each is not None for o in chosen):
        return looked_at(instance, memory_model, chosen, options.proper_split, partial(check_time, begun, limit_s), limits)
    return None


def listed_front(splits: Splits, objectives: Sequence[str], options: FrontOptions = ORDINARY_FRONT) -> GrowingFront:
    """The front of objectives of lmos, by enumeration of splits that are listed already. It needs no model.

    `options` are those of `pareto_front`. InputError for a user's own constraints or variables, and for options of a search.
    """
    chosen = _distinct([find_objective(o) for o in objectives])
    options = with_limits(options, ())
    listing = without_model(splits, chosen, options.proper_split, shipped(options.constraints))
    return _front_of(listing, splits.instance, chosen, options, perf_counter(), None)


def _front_of(listing: ListedSplits | LayerwiseSplits, instance: Instance, chosen: Sequence[Objective], options: FrontOptions,
              begun: float, why_one: Callable[[Point], str] | None) -> GrowingFront:  # fmt: skip
    """The front of objectives of lmos, by enumeration. `begun` is when it began (s); `why_one` explains a front of one point."""
    names = [o.name for o in chosen]
    for what in ("step", "variables", "constraints"):
        if getattr(options, what) and (what == "step" or has_own((), options)):
            raise InputError(what, "is for a model; where splits are looked at there is none")
    if options.resume is not None:
        _resumed(options.resume, names)  # whatever is known, all are looked at
    signs = [1.0 if o.sense == "min" else -1.0 for o in chosen]
    problem = ListedProblem(listing, solvers.get(options.solver, options.solver_options), _limit_s(options))

    def point(candidate: Candidate) -> Point:
        values = {o.name: _tidy(sign * cost) for o, sign, cost in zip(chosen, signs, candidate.costs, strict=True)}
        split = listing.split(int(candidate.x[0]))
        return Point.at(values, split.places, codecs=split.codecs if instance.codecs else None)

    meaning = Meaning(point, lambda: InfeasibleError(instance.name, in_the_way(instance, options)),
                      lambda k, cost: _tidy(signs[k] * cost), why_one)  # fmt: skip
    return GrowingFront(instance.name, _infos(chosen), problem, listing.algorithm, meaning,
                        Run(_constrained(names, options.constrain), begun, options.log))  # fmt: skip


def _model_front(model: Any, objectives: Sequence[Any], options: SearchOptions) -> GrowingFront:
    from lmos_opt.own_code import check_objectives
    solver, start = _ready(options)
    objectives = check_objectives(model, objectives)
    infos = _distinct([ObjectiveInfo(name=str(o.name), unit="", sense=_sense(o)) for o in objectives])
    names = [info.name for info in infos]
    signs = [1.0 if info.sense == "min" else -1.0 for info in infos]
    constrained = _constrained(names, options.constrain)
    milp, forms, _ = compile_model(model, objectives)
    milp, moved, origin = presolved(milp, forms, signs)
    variable = [replace(form, constant=0.0) for form in moved]  # beside a large one, small differences would be rounded away

    def point(candidate: Candidate) -> Point:
        x = origin + candidate.x
        values = {name: _tidy(form.at(x)) for name, form in zip(names, forms, strict=True)}
        return Point(values=values, solution=dict(zip(milp.variables, map(_tidy, x.tolist()), strict=True)))

    problem = _problem(milp, _Asked(names, signs, variable, constrained), solver, options)
    if options.resume is not None:
        problem.known = [_known(problem, _vector(milp, p) - origin, p) for p in _resumed(options.resume, names)]
    meaning = Meaning(point, lambda: InfeasibleError(milp.name, ()), lambda k, cost: _tidy(signs[k] * cost + moved[k].constant))
    return GrowingFront(milp.name, infos, problem, _algorithm(options.algorithm, problem), meaning,
                        Run(constrained, start, options.log))  # fmt: skip


def _ready(options: SearchOptions) -> tuple[Solver, float]:
    """The solver, imported and given its options, and when all imports were done: how long a front took does not count them."""
    return solvers.get(options.solver, options.solver_options), perf_counter()


def _algorithm(asked: str | Algorithm | None, problem: FrontProblem) -> Algorithm:
    """The algorithm asked for. What is left of a front that was begun are zones anywhere, so resuming searches by zones.
    The least load has one of its own."""
    own = "ideals" if problem.placing is not None else "local_upper_bounds" if problem.known else None
    return algorithms.get(asked or own, problem.p)


def _problem(milp: Milp, asked: _Asked, solver: Solver, options: SearchOptions, evaluate: Evaluation | None = None,
             granules: Sequence[float | None] = ()) -> FrontProblem:  # fmt: skip
    """The problem with every sense turned to min."""
    limit_s, step = _limit_s(options), _steps(options.step, asked.names)
    j = asked.names.index(asked.constrained) if asked.constrained else 0
    return FrontProblem(milp, asked.costs, solvers.limited(solver, limit_s), evaluate.costs if evaluate else None, granules,
                        evaluate.deciders if evaluate else None, evaluate is not None and evaluate.decisive,
                        evaluate.follow if evaluate else None, 1 - j if len(asked.forms) == 2 else 0, j, time_limit_s=limit_s,
                        names=asked.names, step=step)  # fmt: skip


def _limit_s(options: SearchOptions) -> float | None:
    """The time limit (s), checked."""
    limit_s = options.time_limit_s
    if not (limit_s is None or (isinstance(limit_s, int | float) and limit_s >= 0)):
        raise InputError("time_limit_s", f"{limit_s!r} is not a number of seconds of at least zero")
    return limit_s


def _steps(step: Sequence[float] | None, names: Sequence[str]) -> Sequence[float] | None:
    """The steps as asked, one for each objective; InputError if they are none."""
    if step is not None and (len(step) != len(names) or not all(0 < s < inf for s in step)):
        raise InputError("step", f"{list(step)} for the objectives {', '.join(names)}; expected a positive number for each")
    return step


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
    """A point of an earlier run as a candidate, evaluated again; InputError if it breaks a constraint here."""
    found = problem.candidate(x)
    if found is None:
        raise InputError("resume", f"the front's point {point.values} is not a solution here: "
                                   f"it breaks a constraint of {problem.milp.name}")
    return found


def _check_several(objectives: Any) -> None:
    if isinstance(objectives, str | Objective) or not isinstance(objectives, Iterable):
        raise InputError("objectives", f"got {objectives!r:.60}; expected a list of them, such as ['latency', 'memory']")


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
