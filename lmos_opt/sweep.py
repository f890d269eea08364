"""`sweep`: many instances, many rules, one table. Fronts are found by joblib in processes of this machine, or on a Dask cluster.

Each front is one task. The answer is the chosen splits, a row for each, so that 10,000 fronts are 10,000 small answers.
`lmos_opt.sweeps.running` makes whole fronts, with a row for each point: they are written to a file in parts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from lmos_opt import solvers
from lmos_opt.api import pareto_front
from lmos_opt.cache import Cache, source_digest
from lmos_opt.errors import InfeasibleError, InputError, LmosError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front
from lmos_opt.instance import Instance
from lmos_opt.processes.parquet import read_frame
from lmos_opt.rules import find_rule
from lmos_opt.rules.baselines import baseline, check_admitted
from lmos_opt.rules.selection import select
from lmos_opt.split import Split
from lmos_opt.sweeps.grids import Grid
from lmos_opt.sweeps.running import run_sweep
from lmos_opt.sweeps.wanted import checked_rules
from lmos_opt.sweeps.workers import ClusterError, answers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "ORDINARY_SWEEP", "ClusterError", "SweepError", "SweepKeywords", "SweepOptions", "columns", "sweep"]

COLUMNS = ("instance", "rule", "x1", "x2", "latency_s", "memory_bytes", "t_edge_s", "t_tx_s", "t_server_s",
           "crossing_bytes", "front_points", "complete", "reason")  # fmt: skip
"""The columns of a sweep's table over two places, after the labels. Times in s, sizes in B. For more places see `columns`."""

_STAGES = ("t_edge_s", "t_tx_s", "t_server_s", "crossing_bytes")


class SweepError(LmosError):
    """An instance whose front could not be traced; `instance` names it, `position` is its place in the sweep."""

    def __init__(self, instance: str, position: int, reason: str) -> None:
        self.instance, self.position = instance, position
        super().__init__(f"instance {position} of the sweep, {instance}: {reason}")


@dataclass(frozen=True)
class _Task:
    """One instance and the rules that choose for it, as it travels to a worker."""

    k: int
    instance: Instance
    rules: tuple[str, ...]
    memory_model: MemoryModel
    proper_split: bool
    solver: str
    keep: bool
    """Whether the front itself is to come back too, for the cache."""

    @property
    def needs_front(self) -> bool:
        """Whether any rule chooses from a front."""
        return any(find_rule(rule) is not None for rule in self.rules)


@dataclass
class _Found:
    """What a task gives. A failure travels as text: the errors of this package do not survive being pickled."""

    k: int
    rows: list[dict[str, Any]]
    front: dict[str, Any] | None = None
    failure: str | None = None


@dataclass(frozen=True)
class SweepOptions:
    """How and where `sweep` finds fronts.

    `jobs` processes run on this machine (None: one for each processor, 1: no other process than this one). `dask` is the address of
    a Dask scheduler to use instead; its workers need this package too. `cache` keeps whole fronts, and a front that it holds is not
    found again.

    With `fronts` a sweep gives whole fronts over the `objectives`, not choices. They are written to `output`, a Parquet file, in
    parts when they are found; parts of the same sweep that are already there are not found again.
    """

    memory_model: MemoryModel = "sum"
    proper_split: bool = False
    solver: str = "highs"
    jobs: int | None = None
    dask: str | None = None
    cache: Cache | None = None
    fronts: bool = False
    objectives: tuple[str, ...] = ("latency", "memory")
    output: str | os.PathLike[str] | None = None


class SweepKeywords(TypedDict, total=False):
    """The fields of SweepOptions, as keywords."""

    memory_model: MemoryModel
    proper_split: bool
    solver: str
    jobs: int | None
    dask: str | None
    cache: Cache | None
    fronts: bool
    objectives: tuple[str, ...]
    output: str | os.PathLike[str] | None


ORDINARY_SWEEP = SweepOptions()


def sweep(
    instances: Sequence[Instance],
    rules: Sequence[str] = (),
    options: SweepOptions = ORDINARY_SWEEP,
    *,
    labels: Sequence[Mapping[str, Any]] | None = None,
    on_front: Callable[[bool], None] | None = None,
    **changes: Unpack[SweepKeywords],
) -> pd.DataFrame:
    """The choice of each rule on each instance: a pandas row for each (instance, rule), in this order, whichever finished first.

    `rules` are selection rules (`knee`, `slack:50`) and baselines (`ECO`, `RS:7`, `DADS`, `cut:3`). The columns are those of
    `labels` (one mapping for each instance), then those of `columns`, where `instance` is the position in `instances`. If a rule
    has no split, the split's columns are empty and `reason` says why. A front is found only if a rule needs it.

    With `fronts=True` there are no rules, and a row is a point: the columns are those of `labels`, then those of the files of
    `lmos sweep`, where `case` is the position in `instances` and `point` counts the points of a front.

    Each keyword replaces the field of `options` that has its name. `on_front` is called after each front, with True if the cache,
    or a part of the output, had it already.

    Raises InputError for an unknown rule or solver, ClusterError if no scheduler or worker answers, SweepError if a front cannot be
    found.
    """
    options = replace(options, **changes)
    if labels is not None and len(labels) != len(instances):
        raise InputError("labels", f"there are {len(labels)} for {len(instances)} instances")
    if options.fronts:
        return _whole_fronts(instances, rules, options, labels, on_front)
    if options.output is not None:
        raise InputError("output", "is of a sweep with fronts=True; a table of choices is saved by its own to_parquet or to_csv")
    return _choices(instances, checked_rules(rules, instances), options, labels, on_front)


def _choices(instances: Sequence[Instance], chosen: tuple[str, ...], options: SweepOptions,
             labels: Sequence[Mapping[str, Any]] | None, on_front: Callable[[bool], None] | None) -> pd.DataFrame:  # fmt: skip
    """A row for each instance and rule."""
    cache = options.cache
    tasks = [_Task(k, instance, chosen, options.memory_model, options.proper_split, options.solver, cache is not None)
             for k, instance in enumerate(instances)]
    engine = [solvers.get(options.solver).name, solvers.get(options.solver).version()]
    keys = [cache.key("front", _ingredients(task, engine)) for task in tasks] if cache is not None else []
    found: dict[int, _Found] = {}
    twins: dict[str, list[_Task]] = {}
    todo: list[_Task] = []
    for task in tasks:
        known = cache.read(keys[task.k]) if cache is not None and task.needs_front else None
        if known is not None:
            found[task.k] = _Found(task.k, _rows(task, Front.from_dict(known, keys[task.k])))
            if on_front is not None:
                on_front(True)
        elif cache is not None and keys[task.k] in twins:
            twins[keys[task.k]].append(task)  # the same problem again: one of them is enough
        else:
            todo.append(task)
            if cache is not None:
                twins[keys[task.k]] = []
    for answer in answers(_work, todo, options.jobs, options.dask):
        if answer.failure is not None:
            raise SweepError(instances[answer.k].name, answer.k, answer.failure)
        if cache is not None and answer.front is not None:
            cache.write(keys[answer.k], answer.front)
        for k in (answer.k, *(twin.k for twin in (twins[keys[answer.k]] if cache is not None else []))):
            found[k] = _Found(k, answer.rows)
            if on_front is not None and tasks[k].needs_front:
                on_front(k != answer.k)
    return _frame([found[task.k].rows for task in tasks], labels, columns(len(instance.places) for instance in instances))


def _whole_fronts(instances: Sequence[Instance], rules: Sequence[str], options: SweepOptions,
                  labels: Sequence[Mapping[str, Any]] | None, on_front: Callable[[bool], None] | None) -> pd.DataFrame:  # fmt: skip
    """A row for each point, read from the file that was written."""
    import pandas as pd

    if rules or options.cache is not None:
        raise InputError("rules" if rules else "cache", "is for choices; a sweep with fronts=True keeps whole fronts")
    done_before: list[int] = []

    def on_part(done: int, _: int) -> None:
        for _ in range(done - (done_before[-1] if done_before else 0)):
            if on_front is not None:
                on_front(not done_before)  # the first call is of what is there
        done_before.append(done)

    grid = Grid(sources=("instances",), objectives=options.objectives, proper_split=options.proper_split, solver=options.solver,
                over={"memory_model": options.memory_model})  # fmt: skip
    with TemporaryDirectory() as folder:
        output = Path(folder, "fronts.parquet") if options.output is None else Path(options.output)
        run_sweep(grid, output, instances=instances, jobs=options.jobs, dask=options.dask, on_part=on_part)
        found = read_frame(output)
    if labels:
        of_rows = pd.DataFrame(list(labels)).iloc[found["case"]].reset_index(drop=True)
        found = pd.concat([of_rows, found], axis=1)
    return found


def _ingredients(task: _Task, engine: list[str]) -> dict[str, Any]:
    """All that a front is made from."""
    return {"instance": task.instance.to_dict(), "memory_model": task.memory_model, "proper_split": task.proper_split,
            "solver": engine, "code": source_digest()}


def _work(task: _Task) -> _Found:
    """Runs on a worker."""
    if not task.needs_front:
        return _Found(task.k, _rows(task, None))
    try:
        front = pareto_front(task.instance, memory_model=task.memory_model, proper_split=task.proper_split,
                             solver=task.solver)
    except InfeasibleError as error:
        return _Found(task.k, [_no_split(task, rule, str(error)) for rule in task.rules])
    except LmosError as error:
        return _Found(task.k, [], failure=str(error))
    return _Found(task.k, _rows(task, front), front.to_dict() if task.keep and front.complete else None)


def _rows(task: _Task, front: Front | None) -> list[dict[str, Any]]:
    """A row for each rule."""
    found = []
    for rule in task.rules:
        try:
            found.append(_row(task, rule, front))
        except LmosError as error:
            found.append(_no_split(task, rule, str(error), front))
    return found


def _row(task: _Task, rule: str, front: Front | None) -> dict[str, Any]:
    instance = task.instance
    split = baseline(instance, rule, task.memory_model)
    if split is None:
        assert front is not None  # the rule is a selection rule, so there is one
        point = select(front, rule)
        split = Split.at(instance, point.named_places, task.memory_model, point.codecs)
    check_admitted(split, rule, task.proper_split)
    counts = {f"x{p}": len(layers) for p, layers in enumerate(split.places, 1)}
    return {**_no_split(task, rule, None, front), **counts, "latency_s": split.times.latency_s, "memory_bytes": split.memory_bytes,
            **_stages(split)}


def _stages(split: Split) -> dict[str, float]:
    """The stages' times and sizes, by the columns of so many places."""
    times, k = split.times, len(split.places)
    if k == 2:
        return dict(zip(_STAGES, (times.t_edge_s, times.t_tx_s, times.t_server_s, times.crossing_bytes), strict=True))
    return {f"t_place_{p}_s": time for p, time in enumerate(times.t_place_s, 1)} | {
        key: value for h, hop in enumerate(times.hops, 1)
        for key, value in ((f"t_hop_{h}_s", hop.t_s), (f"crossing_{h}_bytes", hop.n_bytes))
    } | {f"memory_{p}_bytes": split.memory_at(p) for p in range(2, k + 1)}  # fmt: skip


def columns(places: Iterable[int]) -> list[str]:
    """The table's columns over instances with these numbers of places: COLUMNS if all have two.

    For K > 2 there are `x1` to `xK`, `memory_bytes` of the first place and `memory_2_bytes` to `memory_K_bytes`, and in the order
    of the data `t_place_1_s`, `t_hop_1_s`, `crossing_1_bytes`, `t_place_2_s` and so on.
    """
    counts = sorted({*places} or {2})
    most = counts[-1]
    of_many: list[str] = []
    if most > 2:
        for n in range(1, most):
            of_many += [f"t_place_{n}_s", f"t_hop_{n}_s", f"crossing_{n}_bytes"]
        of_many += [f"t_place_{most}_s", *(f"memory_{p}_bytes" for p in range(2, most + 1))]
    stages = [*(_STAGES if counts[0] == 2 else ()), *of_many]
    return [*COLUMNS[:3], *(f"x{p}" for p in range(2, most + 1)), "latency_s", "memory_bytes", *stages, *COLUMNS[-3:]]


def _no_split(task: _Task, rule: str, reason: str | None, front: Front | None = None) -> dict[str, Any]:
    return {**dict.fromkeys(columns([len(task.instance.places)])), "rule": rule, "reason": reason,
            "front_points": None if front is None else len(front.points),
            "complete": True if front is None else front.complete}  # fmt: skip


def _frame(rows: list[list[dict[str, Any]]], labels: Sequence[Mapping[str, Any]] | None, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    found = pd.DataFrame([{**(labels[k] if labels is not None else {}), **row, "instance": k}
                          for k, some in enumerate(rows) for row in some],
                         columns=[*(labels[0] if labels else ()), *names])  # fmt: skip
    whole = [name for name in names if name.endswith("_bytes") or name == "front_points" or name.removeprefix("x").isdecimal()]
    return found.astype({**dict.fromkeys(whole, "Int64"), "complete": bool, "instance": int,
                         **{name: float for name in names if name.endswith("_s")}})
