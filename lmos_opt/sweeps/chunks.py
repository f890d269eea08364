"""A part of a sweep: some cases, and their fronts or choices as rows of a table. It is computed wherever a worker is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmos_opt import objectives as shipped
from lmos_opt.api import listed_front, pareto_front
from lmos_opt.errors import InfeasibleError, InputError, LmosError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front, Point
from lmos_opt.fronts.options import FrontOptions
from lmos_opt.instance import Instance
from lmos_opt.listing.shapes import Graph, graph_of
from lmos_opt.listing.splits import Splits
from lmos_opt.rules.baselines import baseline, check_admitted
from lmos_opt.sweeps.grids import Case, Grid

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class FrontMaker:
    """Fronts of many instances: by enumeration where splits are few, which are listed once for all instances of a graph then."""

    objectives: Sequence[str]
    proper_split: bool = False
    solver: str = "highs"
    _listed: dict[tuple[Graph, MemoryModel], Splits | None] = field(default_factory=dict)

    def front(self, instance: Instance, memory_model: MemoryModel) -> Front:
        """The exact front. Raises as `pareto_front`."""
        options = FrontOptions(memory_model=memory_model, proper_split=self.proper_split, solver=self.solver)
        if instance.has_open_codecs:  # also where another instance of its graph has none
            return pareto_front(instance, self.objectives, options)
        key = graph_of(instance), memory_model
        if key not in self._listed:
            try:
                self._listed[key] = Splits.of(instance, memory_model)
            except InputError:  # too many: then they are searched
                self._listed[key] = None
        splits = self._listed[key]
        if splits is None:
            return pareto_front(instance, self.objectives, options)
        return listed_front(splits.of_another(instance), self.objectives, options).run()


@dataclass(frozen=True)
class Chunk:
    """Some cases of a sweep, with the instances that they are of, by number, and the values of their columns."""

    number: int
    grid: Grid
    cases: tuple[Case, ...]
    instances: Mapping[int, tuple[dict[str, str], Instance]]
    most_places: int


@dataclass(frozen=True)
class Found:
    """The result of a chunk: its table, or the front that failed and why, as text, because errors of lmos cannot be pickled, and
    whether that is the fault of what was asked."""

    number: int
    table: Any = None
    failure: tuple[str, str] | None = None
    is_input: bool = False


def work(chunk: Chunk) -> Found:
    """The chunk's table. Runs on a worker."""
    maker = FrontMaker(chunk.grid.objectives, chunk.grid.proper_split, chunk.grid.solver)
    rows: list[dict[str, Any]] = []
    for case in chunk.cases:
        labels, built = chunk.instances[case.instance]
        try:
            rows += _rows(chunk.grid, maker, case, labels, case.of(built))
        except LmosError as error:
            where = f"front {case.number} of the sweep, {built.name}"
            return Found(chunk.number, failure=(where, str(error)), is_input=isinstance(error, InputError))
    return Found(chunk.number, table_of(rows, chunk.grid, chunk.most_places))


def table_of(rows: list[dict[str, Any]], grid: Grid, most_places: int) -> pa.Table:
    """Rows as a table with the sweep's columns."""
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=schema(grid, most_places))


def schema(grid: Grid, most_places: int) -> pa.Schema:
    """The columns of a sweep's table: what a row is of, then its values, and where layers run."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    fields = [("case", pa.int64()), ("source", text), *((name, text) for name in grid.columns), ("memory_model", text)]
    if most_places == 2:
        fields += [("bandwidth_bytes_per_s", pa.float64()), ("rtt_s", pa.float64())]
    fields += [("memory_limit_bytes", pa.int64()), *([("rule", text)] if grid.rules else [("point", pa.int64())])]
    fields += [(name, pa.int64() if shipped.get(name).unit == "B" else pa.float64()) for name in grid.objectives]
    fields += [(f"x{p}", pa.int64()) for p in range(1, most_places + 1)]
    layers = pa.list_(text)
    fields += [("edge_layers", layers)] if most_places == 2 else [("places", pa.list_(layers))]
    return pa.schema([*fields, ("complete", pa.bool_()), ("reason", pa.string())])


def _rows(grid: Grid, maker: FrontMaker, case: Case, labels: dict[str, str], instance: Instance) -> list[dict[str, Any]]:
    """A row for each point, or for each rule."""
    said: dict[str, Any] = {"case": case.number, **labels, "memory_model": case.memory_model,
                            "memory_limit_bytes": instance.memory_limit_bytes}  # fmt: skip
    if len(instance.places) == 2:
        said |= {"bandwidth_bytes_per_s": instance.bandwidth_bytes_per_s, "rtt_s": instance.rtt_s}
    try:
        front = maker.front(instance, case.memory_model)
    except InfeasibleError as error:
        return [{**said, "rule": rule, "complete": True, "reason": str(error)} for rule in grid.rules or (None,)]
    of_front = {"complete": front.complete, "reason": front.reason}
    if not grid.rules:
        return [{**said, "point": k, **_at(point), **of_front} for k, point in enumerate(front)]
    rows = []
    for rule in grid.rules:
        try:
            rows.append({**said, "rule": rule, **of_front, **_at(_chosen(grid, case, instance, front, rule))})
        except (InfeasibleError, InputError) as error:  # some instance has such a split: `checked_rules`
            rows.append({**said, "rule": rule, "complete": front.complete, "reason": str(error)})
    return rows


def _chosen(grid: Grid, case: Case, instance: Instance, front: Front, rule: str) -> Point:
    split = baseline(instance, rule, case.memory_model)
    if split is None:
        return front.select(rule)
    check_admitted(split, rule, grid.proper_split)
    values = {o.name: o.value(split) for o in map(shipped.get, grid.objectives) if o.value is not None}
    return Point.at(values, split.places)


def _at(point: Point) -> dict[str, Any]:
    """A point's columns."""
    return {**point.values, **{f"x{p}": n for p, n in enumerate(point.counts, 1)}, "edge_layers": point.edge_layers,
            "places": [*map(list, point.places)]}  # fmt: skip
