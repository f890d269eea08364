"""The contest: contestants take turns on each instance, in an order that is drawn again each round, and each answer is judged."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from lmos.bench import solvers
from lmos.bench.cases import Case, IntegerProgram, random_split
from lmos.bench.solvers import ContestAnswer, Contestant, MissingPeer, Terms, Values
from lmos_opt.errors import LmosError
from lmos_opt.instance import Instance

SAME = 1e-9
"""Values nearer than this, relative to the objective's range on the front, are one value: sums are rounded in any order."""
_BEYOND = 1.1
"""The hypervolume's reference point: the nadir is at 1 in every objective, so the front's ends count too."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Truth:
    """The front that answers are held to, and where it comes from."""

    values: tuple[Values, ...]
    source: str


@dataclass(frozen=True)
class Run:
    """One contestant, once, on one case. `lost` and `extra` count points against the truth; None if nothing is known."""

    case: Case
    contestant: str
    repeat: int
    seconds: float
    solves: int | None
    points: int
    complete: bool
    exact: bool | None
    lost: int | None
    extra: int | None
    hypervolume: float | None
    truth: str
    note: str


def ready(contestants: Sequence[Contestant], say: Say) -> list[Contestant]:
    """The installed contestants, after loading and one run. Missing ones are passed to `say`; MissingPeer if all are missing."""
    found, missing = [], None
    for contestant in contestants:
        try:
            contestant.load()
        except MissingPeer as error:
            missing = error
            say(str(error))
            continue
        if contestant.can(_WARM_UP):
            contestant.run(_WARM_UP, Terms())
        found.append(contestant)
    if missing is not None and not found:
        raise missing
    return found


def compete(case: Case, contestants: Sequence[Contestant], repeats: int, seed: int, time_limit_s: float,
            say: Say) -> Iterator[Run]:  # fmt: skip
    """Run the contestants that can do the case, `repeats` rounds, and yield each run, judged.

    `time_limit_s` is what one contestant may spend on the case, all its rounds together; it runs at least once. Where there
    are approximations, this project's engine runs first, uncounted: how long it takes is what they get. So it does where
    neither enumeration nor the source has a front: then its own, certified, is what all are held to.
    """
    rivals = [contestant for contestant in contestants if contestant.can(case)]
    if not rivals:
        return
    say(f"{case.name}: the truth")
    truth = _known_truth(case)
    engine_s = 0.0
    if truth is None or any(contestant.gives == "approximation" for contestant in rivals):
        start = perf_counter()
        certified = solvers.get("ours").run(case, Terms(seed, time_limit_s))
        engine_s = perf_counter() - start
        truth = truth or (Truth(certified.values, "ours") if certified.complete else None)
    spent = dict.fromkeys((contestant.name for contestant in rivals), 0.0)
    for repeat in range(repeats):
        order = [c for c in rivals if repeat == 0 or spent[c.name] * (repeat + 1) / repeat <= time_limit_s]
        random.Random(f"{seed} {case.name} {repeat}").shuffle(order)
        for contestant in order:
            say(f"{case.name}: {contestant.name}, round {repeat + 1} of {repeats}")
            gc.collect()
            start = perf_counter()
            try:
                answer = contestant.run(case, Terms(seed + repeat, time_limit_s, engine_s))
            except LmosError as error:
                answer = ContestAnswer((), complete=False, note=str(error))
            seconds = perf_counter() - start if answer.seconds is None else answer.seconds
            spent[contestant.name] += seconds
            yield _judged(case, contestant, repeat, seconds, answer, truth)


def _known_truth(case: Case) -> Truth | None:
    """The front that its source lists, or that enumeration gives."""
    if isinstance(case.problem, IntegerProgram):
        return None if case.problem.front is None else Truth(case.problem.front, "published")
    return Truth(solvers.get("enumeration").run(case, Terms()).values, "enumeration") if case.kind == "chain" else None


def _judged(case: Case, contestant: Contestant, repeat: int, seconds: float, answer: ContestAnswer, truth: Truth | None) -> Run:
    lost = extra = exact = volume = None
    if truth is not None and contestant.gives == "least":
        exact = _is_least(answer, truth)
    elif truth is not None:
        lost, extra = compared(answer.values, truth.values)
        exact = answer.complete and not lost and not extra
        volume = hypervolume(answer.values, truth.values, case.senses)
    return Run(case, contestant.name, repeat, seconds, answer.solves, len(answer.values), answer.complete, exact, lost, extra,
               volume, "" if truth is None else truth.source, answer.note)


def _is_least(answer: ContestAnswer, truth: Truth) -> bool:
    least = min(values[0] for values in truth.values)
    return bool(answer.values) and abs(answer.values[0][0] - least) <= SAME * abs(least)


def compared(values: Sequence[Values], truth: Sequence[Values]) -> tuple[int, int]:
    """How many points of the truth are not among the values, and how many values are none of the truth's (or come again)."""
    if not values or not truth:
        return len(truth), len(values)
    exact, found = np.array(truth, dtype=float), np.array(values, dtype=float)
    width = np.ptp(exact, axis=0)
    near = SAME * np.where(width > 0, width, np.maximum(1.0, np.abs(exact).max(axis=0)))
    same = np.all(np.abs(found[:, None, :] - exact[None, :, :]) <= near, axis=2)
    reached = int(same.any(axis=0).sum())
    return len(exact) - reached, len(found) - reached


def hypervolume(values: Sequence[Values], truth: Sequence[Values], senses: Sequence[str]) -> float | None:
    """The hypervolume of the values relative to the true front's, objectives scaled to 0 (ideal) .. 1 (nadir).

    None without pymoo, which has the computation (Fonseca, Paquete and López-Ibáñez, CEC 2006).
    """
    try:
        from pymoo.indicators.hv import HV
    except ImportError:
        return None
    signs = np.array([1.0 if sense == "min" else -1.0 for sense in senses])
    exact = signs * np.array(truth, dtype=float)
    ideal, width = exact.min(axis=0), np.ptp(exact, axis=0)
    width[width == 0] = 1.0
    measure = HV(ref_point=np.full(len(signs), _BEYOND))
    if not values:
        return 0.0
    return float(measure((signs * np.array(values, dtype=float) - ideal) / width) / measure((exact - ideal) / width))


def _warm_up() -> Case:
    instance: Instance = random_split(3, 0, chain=True)
    return Case("warm-up", instance.name, 3, instance)


_WARM_UP = _warm_up()
