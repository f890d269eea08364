"""This project's search with one solver or another, on the same problems: times taken in turns, and their performance profiles.

Dolan and Moré, "Benchmarking optimization software with performance profiles", Math. Programming 91 (2002): an engine's ratio
on a problem is its time over the least of all engines', infinite if it came to no end; its profile at tau is the share of
problems on which its ratio is at most tau. At 1 that is how often it was the fastest, far to the right how often it came to an end.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isclose, isfinite
from statistics import median
from typing import Any

from lmos_opt import Front, InputError, SolverError, pareto_front, solvers, trace_front
from lmos_opt.errors import THEIR_ERRORS, first_line
from lmos_opt.imports import load_object
from lmos_opt.instance import Instance
from lmos_opt.solvers.settings import Option, parsed
from lmos_opt.sources import Options, instance_of, load_source

SAME = 1e-9
"""Values nearer than this, relative to their size, are one value: solvers' solutions differ where several attain a point."""


@dataclass(frozen=True)
class Engine:
    """A solver and its options, under the name that was typed."""

    name: str
    solver: str
    options: tuple[tuple[str, Option], ...] = ()

    @classmethod
    def of(cls, text: str) -> Engine:
        """`NAME` or `NAME,OPTION=VALUE,...`; InputError for an unknown solver, or an option that it does not take."""
        solver, *options = (part.strip() for part in text.split(","))
        found = cls(text, solver, tuple(parsed(option, "--engine") for option in options))
        solvers.get(solver, dict(found.options))
        return found


@dataclass(frozen=True)
class Study:
    """A problem: its name, and its front by an engine within a time limit (s)."""

    name: str
    solve: Callable[[Engine, float], Front]


@dataclass(frozen=True)
class Timed:
    """One front by one engine; `seconds` with the model's building, without imports.

    `agrees` says whether its values are those of the problem's first complete front.
    """

    problem: str
    engine: str
    repeat: int
    seconds: float
    complete: bool
    agrees: bool | None
    points: int
    solves: int
    lps: int
    nodes: int
    lp_s: float
    note: str


def installed() -> list[Engine]:
    """An engine for each solver that is installed."""
    found = []
    for name in solvers.names():
        try:
            solvers.get(name).version()
        except SolverError:
            continue
        found.append(Engine(name, name))
    return found


def study(source: str) -> Study:
    """A bundled network, a profile or instance file at the defaults of `lmos front`, or `package.module:callable`.

    The callable gives a Pyomo model and its objectives, `(model, [model.cost, model.value])`; it is called for each front.
    Raises InputError if there is no such source, or it gives something else.
    """
    if ":" in source:
        make = load_object(source)
        if not callable(make):
            raise InputError(source, f"is a value of type {type(make).__name__}; expected a function without parameters that "
                                     "gives a Pyomo model and a list of its objectives")
        _made(source, make)
        return Study(source, lambda engine, limit_s: trace_front(*_made(source, make), solver=engine.solver, time_limit_s=limit_s,
                                                                 solver_options=dict(engine.options)))
    read = load_source(source)
    instance = read if isinstance(read, Instance) else instance_of(read, Options())
    return Study(source, lambda engine, limit_s: pareto_front(instance, solver=engine.solver, time_limit_s=limit_s,
                                                              solver_options=dict(engine.options), algorithm="epsilon_constraint"))


def _made(source: str, make: Callable[[], Any]) -> tuple[Any, Any]:
    try:
        found = make()
    except THEIR_ERRORS as error:  # the user's code may raise anything
        raise InputError(source, f"failed with {first_line(error)}") from error
    if not (isinstance(found, tuple) and len(found) == 2):
        raise InputError(source, f"gave a value of type {type(found).__name__}; expected a Pyomo model and a list of its "
                                 "objectives, as in `return m, [m.cost, m.value]`")
    return found


def measured(studies: Sequence[Study], engines: Sequence[Engine], repeats: int, seed: int, limit_s: float,
             say: Callable[[str], None]) -> Iterator[Timed]:  # fmt: skip
    """Each engine on each problem, `repeats` rounds; in a round all engines take their turn, in an order drawn again each time.

    A front for each engine comes first and does not count. An engine that came to no end on a problem is not asked again.
    """
    for engine in engines:
        studies[0].solve(engine, limit_s)
    for problem in studies:
        truth: Front | None = None
        ended: set[str] = set()
        for repeat in range(repeats):
            order = [engine for engine in engines if engine.name not in ended]
            random.Random(f"{seed} {problem.name} {repeat}").shuffle(order)
            for engine in order:
                say(f"{problem.name}: {engine.name}, round {repeat + 1} of {repeats}")
                gc.collect()
                front = problem.solve(engine, limit_s)
                if front.reason == "interrupted":
                    raise KeyboardInterrupt
                if front.complete:
                    truth = truth or front
                else:
                    ended.add(engine.name)
                took = front.statistics
                assert took is not None  # a front that was just traced has them
                agrees = is_same(front, truth) if truth is not None and front.complete else None
                yield Timed(problem.name, engine.name, repeat, front.seconds, front.complete, agrees, len(front), took.solves,
                            took.lps, took.nodes, took.lp_s, front.reason or "")


def is_same(one: Front, other: Front) -> bool:
    """Whether two fronts have the same values, in any order."""
    costs, truth = sorted(one.costs()), sorted(other.costs())
    return len(costs) == len(truth) and all(
        isclose(a, b, rel_tol=SAME, abs_tol=SAME) for mine, theirs in zip(costs, truth, strict=True)
        for a, b in zip(mine, theirs, strict=True))  # fmt: skip


def ratios(runs: Sequence[Timed]) -> dict[str, list[float]]:
    """Per engine its median time on each problem over the least of all engines' medians; infinite if it came to no end."""
    problems = list(dict.fromkeys(run.problem for run in runs))
    engines = list(dict.fromkeys(run.engine for run in sorted(runs, key=lambda run: run.engine)))
    found: dict[str, list[float]] = {engine: [] for engine in engines}
    for problem in problems:
        medians = {}
        for engine in engines:
            mine = [run for run in runs if (run.problem, run.engine) == (problem, engine)]
            whole = mine and all(run.complete for run in mine)
            medians[engine] = median(run.seconds for run in mine) if whole else inf
        least = min(medians.values())
        for engine, seconds in medians.items():
            found[engine].append(seconds / least if isfinite(seconds) else inf)
    return found


def profile(of: Sequence[float]) -> list[tuple[float, float]]:
    """An engine's performance profile: each ratio at which it steps, from 1 on, and the share of problems up to there.

    >>> profile([1.0, 4.0, 2.0, float("inf")])
    [(1.0, 0.25), (2.0, 0.5), (4.0, 0.75)]
    """
    taus = sorted({1.0, *(ratio for ratio in of if isfinite(ratio))})
    return [(tau, sum(ratio <= tau for ratio in of) / len(of)) for tau in taus]
