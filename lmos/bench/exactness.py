"""`lmos bench exactness`: fronts of random split instances beside enumeration, which is slow and never wrong.

A seed makes a case: an instance (every other one with layers whose outputs are returned, every third with several
inputs, every other one along a path of three or four places), objectives, perhaps a memory limit or a proper split. It is
asked under both memory models, and whatever differs from the truth is a mistake. The same seed makes the same case again.
With scenarios, objectives are measures over them, and the truth is each split's value in each scenario, sorted; with codecs to
choose among, all splits with all choices are the truth.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from time import perf_counter
from typing import get_args

from lmos.bench.random_instances import (
    SHAPES,
    STYLES,
    random_instance,
    with_codecs,
    with_inputs,
    with_limit,
    with_places,
    with_results,
    with_scenarios,
)
from lmos.bench.working import Work, results
from lmos_opt import objectives
from lmos_opt.api import pareto_front
from lmos_opt.errors import InfeasibleError, LmosError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.fronts.options import FrontOptions
from lmos_opt.instance import Instance
from lmos_opt.split import Split

TIE = 1e-10
"""Relative to an objective's size: sums of the same real numbers in another order differ by less. Whole values have no ties."""
MOST_LAYERS = {1: 14, 2: 14, 3: 8}
"""By the number of objectives: what is still enumerated in about a second."""
MOST_LAYERS_OF_PLACES = {2: 14, 3: 7, 4: 5}
"""By the number of places: likewise."""
MOST_LAYERS_WITH_MORE = {2: 8, 3: 5, 4: 4}
"""Of instances with scenarios, or with codecs to choose among."""
PAPER = ("latency", "memory")
OF_CODECS = "fidelity_loss"
MEASURED = ("latency", "latency", "throughput", "energy")
MEASURES = ("p95", "p50", "p75", "p99.9", "cvar95", "cvar50", "mean", "worst")
SEARCHES = {True: "epsilon_constraint", False: "local_upper_bounds"}
"""What searches for a front, by whether it has two objectives."""
_POWER_W = {"compute_w": (2.0, 6.0), "transmit_w": (1.0, 3.0), "idle_w": (0.5, 2.0)}


@dataclass(frozen=True)
class Kind:
    """Which cases are drawn: all of a number of `places`, where one is given, and all with scenarios, or with codecs to choose
    among, where that is asked for."""

    places: int | None = None
    scenarios: bool = False
    codecs: bool = False


@dataclass(frozen=True)
class Case:
    """What a seed asks, apart from the memory model."""

    seed: int
    shape: str
    style: str
    instance: Instance
    objectives: tuple[str, ...]
    constrain: str | None
    proper_split: bool


@dataclass(frozen=True)
class Verdict:
    """One front, judged. `mistakes` is empty if it is the true one; an incomplete front claims nothing, and has a reason."""

    case: Case
    memory_model: MemoryModel
    points: int
    solves: int
    seconds: float
    incomplete: str | None
    mistakes: tuple[str, ...]

    @property
    def is_wrong(self) -> bool:
        """Whether the front is not the true one and does not say so itself."""
        return bool(self.mistakes)


def drawn_case(seed: int, kind: Kind = Kind()) -> Case:  # frozen
    """The case of a seed: every shape and style of numbers, half of them with the paper's two objectives.

    With a number of places all have so many, and groups of layers, a port and limits at every place among them; every fourth
    asks for the least load alone. With scenarios one objective is a measure over them.
    """
    places = kind.places
    rng = random.Random(f"question {seed}")
    n_places = places or random.Random(f"places {seed}").choice((2, 2, 3, 4))
    known = [name for name in objectives.names() if name not in (OF_CODECS, *objectives.OF_TOKENS)]
    known += [f"{name}:{n_places - 1}" for name in objectives.NUMBERED]
    names: tuple[str, ...] = PAPER if rng.random() < 0.5 else tuple(rng.sample(known, rng.choice((2, 2, 3))))
    if kind.codecs:
        names = tuple(rng.sample(("latency", "memory", OF_CODECS, "throughput", "tx_bytes", "energy"), rng.choice((2, 2, 3))))
    if kind.scenarios:
        names = (f"{rng.choice(MEASURED)}@{rng.choice(MEASURES)}", rng.choice(("memory", "memory", "footprint", "tx_bytes")))
    elif places is not None and seed % 4 == 3 and not kind.codecs:
        names = ("load",)
    shape, style = rng.choice(SHAPES), rng.choice(STYLES)
    most = (MOST_LAYERS_WITH_MORE if kind.scenarios or kind.codecs else MOST_LAYERS_OF_PLACES)[n_places]
    instance = random_instance(seed, min(MOST_LAYERS[len(names)], most), shape, style)
    if seed % 2:
        instance = with_results(instance, seed)
    if seed % 3 == 2:
        instance = with_inputs(instance, seed)
    if rng.random() < 1 / 3:
        instance = with_limit(instance, seed)
    instance = instance.replace(power={name: rng.uniform(*between) for name, between in _POWER_W.items()})
    if n_places > 2 or places is not None:
        instance = with_places(instance, seed, n_places)
    if kind.scenarios:
        instance = with_scenarios(instance, seed)
    if kind.codecs:
        instance = with_codecs(instance, seed)
    constrain = rng.choice((None, *names)) if len(names) == 2 else None
    return Case(seed, shape, style, instance, names, constrain, proper_split=rng.random() < 0.2)


def answer(asked: Case, memory_model: MemoryModel, solver: str) -> Verdict:
    """Search the front of a case, and judge it. Without a named algorithm, the points and their splits must be the same.

    An error of a solver counts as a mistake. KeyboardInterrupt is raised.
    """
    start = perf_counter()
    options = FrontOptions(memory_model=memory_model, constrain=asked.constrain, proper_split=asked.proper_split, solver=solver)
    search = None if asked.objectives == ("load",) else SEARCHES[len(asked.objectives) == 2]
    try:
        front = _uninterrupted(asked, options, search)
    except InfeasibleError as error:
        seconds = perf_counter() - start
        has_split = bool(_truth(asked.instance, asked.objectives, memory_model, asked.proper_split))
        return Verdict(asked, memory_model, 0, 0, seconds, None, (f"has a front, but: {error}",) if has_split else ())
    except LmosError as error:
        return Verdict(asked, memory_model, 0, 0, perf_counter() - start, None, (f"{type(error).__name__}: {error}",))
    seconds = perf_counter() - start
    if front.complete:
        wrong = mistakes(front, asked.instance, asked.objectives, memory_model, asked.proper_split)
        if _uninterrupted(asked, options).points != front.points:
            wrong = [*wrong, "other points, or other splits, where no algorithm is named"]
    else:
        wrong = _misreported(front, asked.instance, asked.objectives, memory_model)
    return Verdict(asked, memory_model, len(front.points), front.solves, seconds, front.reason, tuple(wrong))


def _uninterrupted(asked: Case, options: FrontOptions, algorithm: str | None = None) -> Front:
    """A case's front. KeyboardInterrupt where it was interrupted."""
    front = pareto_front(asked.instance, asked.objectives, options, algorithm=algorithm)
    if front.reason == "interrupted":
        raise KeyboardInterrupt
    return front


def verdicts(seeds: Sequence[int], solver: str, jobs: int, kind: Kind = Kind()) -> Iterator[Verdict]:
    """The fronts of the seeds, under both memory models, as they are judged, in `jobs` processes."""
    yield from results(Work(partial(_both, solver=solver, kind=kind)), seeds, jobs)


def _both(seed: int, solver: str, kind: Kind) -> list[Verdict]:
    asked = drawn_case(seed, kind)
    return [answer(asked, memory_model, solver) for memory_model in get_args(MemoryModel)]


def mistakes(front: Front, instance: Instance, names: Sequence[str], memory_model: MemoryModel,
             proper_split: bool = False) -> list[str]:  # fmt: skip
    """What is wrong with a front: cut short, points lost, not of the front or twice, wrong values; empty if nothing is."""
    truth = _truth(instance, names, memory_model, proper_split)
    chosen = [objectives.get(name) for name in names]
    signs = [1 if o.sense == "min" else -1 for o in chosen]
    ties = [_tie([values[k] for values in truth]) for k in range(len(chosen))]
    found = [tuple(point.values[name] for name in names) for point in front.points]

    def covers(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        """Whether a is nowhere worse than b, up to ties."""
        return all(s * x <= s * y + tie for s, x, y, tie in zip(signs, a, b, ties, strict=True))

    wrong = [f"incomplete: {front.reason}"] if not front.complete else []
    wrong += [f"lost {t}" for t in truth if not any(covers(f, t) for f in found)]
    wrong += [f"not on the front {f}" for f in found if not any(covers(f, t) and covers(t, f) for t in truth)]
    wrong += [f"twice {f}" for k, f in enumerate(found) if any(covers(f, g) and covers(g, f) for g in found[:k])]
    return wrong + _misreported(front, instance, names, memory_model)


def _misreported(front: Front, instance: Instance, names: Sequence[str], memory_model: MemoryModel) -> list[str]:
    """Points whose values are not those of their edge sets, to the last bit."""
    wrong = []
    for point in front.points:
        split = Split.at(instance, (point.edge_layers or (), *(point.later_layers or ())), memory_model, point.codecs)
        own = {o.name: o.value(split) for o in map(objectives.get, names) if o.value}
        if own != point.values:
            wrong.append(f"{point.edge_layers} has {own}, not {point.values}")
    return wrong


def _truth(instance: Instance, names: Sequence[str], memory_model: MemoryModel, proper_split: bool) -> list[tuple[float, ...]]:
    chosen = [_plainly(name) for name in names]
    return [values for values, _ in enumerate_front(instance, chosen, memory_model, proper_split)]


def _plainly(name: str) -> objectives.Objective:
    """The objective; a measure over scenarios by its definition alone, without a thought for speed."""
    base, at, measure = name.partition("@")
    found = objectives.get(base)
    value = found.value
    if not at or value is None:
        return found

    def of(split: Split) -> float:
        instances, scenarios = split.instance.in_scenarios, split.instance.scenarios
        pairs = sorted((value(Split.of(one, split.upto, split.memory_model)), Fraction(repr(scenario.weight)))
                       for one, scenario in zip(instances, scenarios, strict=True))  # fmt: skip
        total = sum(weight for _, weight in pairs)
        part = Fraction(measure.lstrip("pcvar")) / 100 if measure[-1].isdigit() else Fraction(measure == "worst")
        if measure[0] in "pw":
            return next(v for k, (v, _) in enumerate(pairs) if sum(weight for _, weight in pairs[: k + 1]) >= part * total)
        left, tail = (1 - part) * total, Fraction(0)
        for v, weight in reversed(pairs):
            tail += min(left, weight) * Fraction(v)
            left -= min(left, weight)
        return float(tail / ((1 - part) * total))

    return replace(found, value=of)


def _tie(values: Sequence[float]) -> float:
    """The largest difference of an objective's values that may be rounding only; 0 for whole numbers."""
    return 0.0 if all(isinstance(value, int) for value in values) else TIE * max(map(abs, values))
