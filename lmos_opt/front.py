"""`Front`: the non-dominated points of a problem, each once, each with a solution that attains it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lmos_opt.algorithms.statistics import Statistics
from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import Amount, Count, Document, Flag, Name, Record, Text, Value
from lmos_opt.imports import late
from lmos_opt.places import Counted, from_placed, to_placed
from lmos_opt.processes.writing import checked_suffix

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from lmos_opt.split import Split

Sense = Literal["min", "max"]
SUFFIXES = (".json", ".csv", ".parquet")


class ObjectiveInfo(Record):
    """An objective's name, unit and sense."""

    name: Name
    unit: Text
    sense: Sense


class SolverInfo(Record):
    """The solver that traced a front."""

    name: Name
    version: Text


class Point(Counted, Record):
    """One point: its objective values, and the solution that attains them.

    A split has `edge_layers` (in topological order) out of `n_layers`. Over more than two places it has `later_layers` instead of
    `n_layers`: the layers of each place after the first. `x1`, `x2` and so on count the layers. If the user added variables to the
    model, `solution` has their names and values; a point of any other model has only `solution`, with all variables. If the search
    chooses tensors' codecs, `codecs` has those of the crossing tensors, by the tensors' names.
    """

    values: dict[Name, Value]
    edge_layers: tuple[Name, ...] | None = None
    n_layers: Count | None = None
    later_layers: tuple[tuple[Name, ...], ...] | None = None
    solution: dict[Text, Value] | None = None
    codecs: dict[Name, Name] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        split = {"edge_layers": self.edge_layers, "n_layers": self.n_layers if self.later_layers is None else 0}
        is_split = self.solution is None or self.later_layers is not None or any(value is not None for value in split.values())
        if is_split and (problems := [Problem(key, "is missing") for key, value in split.items() if value is None]):
            raise InvalidError(problems)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        return from_placed(data, handler, info.context)

    @model_serializer(mode="wrap")
    def _as_places(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return to_placed(serialise(self))

    @cached_property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """The layers of each place, in topological order. InputError if a file of two places named those of the first alone."""
        if self.edge_layers is None or self.later_layers is None:
            raise InputError("point", "has no layers: it is a solution of a model that is no split" if self.edge_layers is None else
                             "holds the layers of the first place only; Split.at(instance, point.named_places) gives the others")
        return (self.edge_layers, *self.later_layers)

    @property
    def named_places(self) -> tuple[tuple[str, ...], ...]:
        """The layers of each place that it names, of two places the first one's alone: what `Split.at` takes. Empty of no split."""
        return () if self.edge_layers is None else (self.edge_layers, *(self.later_layers or ()))

    def __getattr__(self, name: str) -> Any:
        """`x3` and so on, of a point of so many places."""
        if name[:1] == "x" and name[1:].isdecimal() and 0 < int(name[1:]) <= len(self.counts):
            return self.counts[int(name[1:]) - 1]
        return super().__getattr__(name)  # type: ignore[misc]

    @classmethod
    def at(cls, values: dict[str, float], places: Sequence[tuple[str, ...]], solution: dict[str, float] | None = None,
           codecs: dict[str, str] | None = None) -> Point:  # fmt: skip
        """The point of a split with these layers at its places."""
        first, *later = places
        is_two = len(later) == 1
        found = cls(values=values, edge_layers=first, n_layers=len(first) + len(later[0]) if is_two else None,
                    later_layers=None if is_two else tuple(later), solution=solution, codecs=codecs)  # fmt: skip
        found.__dict__["places"] = (first, *later)  # which a file of two places does not say
        return found


class Front(Document):
    """A Pareto front: `points`, ordered by the first of its `objectives`, best first. A front is a sequence of its points.

    `complete` is False, with a `reason`, if a solver failure or an interruption ended the run early: the points are then attained,
    but others may be missing. With one objective the only point is then the best that was found, and `bound` is proved: no
    solution's value is better. `constrained` is the objective that Algorithm 1 bounded (its f_j), `solves` the number of integer
    programs, `seconds` the wall time with the time to build the model, without imports. `remark` says why a complete front has only
    one point, and which objectives would show a trade-off. `statistics` says what the search did; it is None for a front that was
    combined from others, or read from a file without it.
    """

    SCHEMA: ClassVar[str] = "lmos.front/1"
    schema_: Literal["lmos.front/1"] = Field("lmos.front/1", alias="schema")
    instance: Name
    objectives: tuple[ObjectiveInfo, ...]
    points: tuple[Point, ...]
    solves: Count
    seconds: Amount
    solver: SolverInfo
    complete: Flag = True
    reason: Text | None = None
    constrained: Name | None = None
    bound: Value | None = None
    statistics: Statistics | None = None
    remark: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [Problem(f"objectives[{k}].name", f"{name!r} is already the name of objectives[{self.names.index(name)}]")
                    for k, name in enumerate(self.names) if name in self.names[:k]]
        problems += [Problem(f"points[{k}].values", f"has {', '.join(point.values) or 'nothing'}; expected a value for each of "
                                                    f"{', '.join(self.names)}")
                     for k, point in enumerate(self.points) if set(point.values) != set(self.names)]
        if self.constrained is not None and self.constrained not in self.names:
            problems.append(Problem("constrained", f"{self.constrained!r} is not among the objectives"))
        if self.complete == (self.reason is not None):
            problems.append(Problem("reason", "expected a reason where complete is false, and only there"))
        if self.bound is not None and (self.complete or len(self.names) > 1):
            problems.append(Problem("bound", "expected one only of one objective, where complete is false"))
        if problems:
            raise InvalidError(problems)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The file's keys. A point has only keys with a value; `reason`, `constrained`, `bound` and `statistics` are there only if
        they have one."""
        found = super().to_dict()
        for point in found["points"]:
            for key in [key for key, value in point.items() if value is None]:
                del point[key]
        for key in ("reason", "constrained", "bound", "statistics", "remark"):
            if found[key] is None:
                del found[key]
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The objectives' names."""
        return tuple(objective.name for objective in self.objectives)

    def __len__(self) -> int:
        """How many points there are."""
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:  # type: ignore[override]  # pydantic's own gives pairs of field and value
        """The points in their order."""
        return iter(self.points)

    def __getitem__(self, k: int) -> Point:
        """The k-th point in the front's order; IndexError if there is none."""
        return self.points[k]

    def costs(self) -> list[tuple[float, ...]]:
        """The objective values of each point, with every sense turned to min: shape (points, objectives)."""
        signs = [1.0 if objective.sense == "min" else -1.0 for objective in self.objectives]
        return [tuple(s * point.values[n] for s, n in zip(signs, self.names, strict=True)) for point in self.points]

    @property
    def ideal(self) -> dict[str, float]:
        """Each objective's best value over the front."""
        return self._extreme(0)

    @property
    def nadir(self) -> dict[str, float]:
        """Each objective's worst value over the front."""
        return self._extreme(-1)

    def _extreme(self, which: int) -> dict[str, float]:
        found = {}
        for objective in self.objectives if self.points else ():
            values = sorted((p.values[objective.name] for p in self.points), reverse=objective.sense == "max")
            found[objective.name] = values[which]
        return found

    def union(self, other: Front) -> Front:
        """The Pareto front of the points of both fronts. If two points have equal values, it holds the one of this front.

        It is complete if both are; solves and seconds are added. Raises InputError unless both have the same objectives in the same
        order.
        """
        found: Front = late("lmos_opt.fronts.combining:union")(self, other)
        return found

    def hypervolume(self, reference: Mapping[str, float] | None = None) -> float:
        """The volume that the points dominate up to a reference point, in the product of the objectives' units.

        `reference` has a value for each objective, by name; None is the front's own nadir point. A point that is not better than
        the reference in every objective adds nothing. Raises InputError for a reference that lacks an objective or has
        a value that is not finite, MissingExtraError without moocore (the extra `indicators`).
        """
        volume: float = late("lmos_opt.fronts.combining:hypervolume")(self, reference)
        return volume

    def indicators(self, truth: Front) -> dict[str, float]:
        """How close this front is to another one, the true front or the best known front, by the indicators of the literature.

        Objectives are scaled so that the other front's ideal point is at 0 and its nadir at 1. `hypervolume` is this front's
        hypervolume divided by the other's, up to 1.1 in every objective (1 is as good). `igd_plus` and `epsilon` (additive) are 0
        if each point of the other front is reached or improved here. `found` is the share of the other front's points that are
        here. Raises InputError unless both have the same objectives and the other has points, MissingExtraError without moocore
        (the extra `indicators`).
        """
        found: dict[str, float] = late("lmos_opt.fronts.combining:indicators")(self, truth)
        return found

    def dominated_by(self, other: Front) -> tuple[Point, ...]:
        """The points that some point of another front dominates; InputError unless both have the same objectives."""
        found: tuple[Point, ...] = late("lmos_opt.fronts.combining:dominated")(self, other)
        return found

    def covers(self, other: Front) -> bool:
        """Whether each point of another front is equalled or dominated here; InputError unless both have the same objectives."""
        found: bool = late("lmos_opt.fronts.combining:covers")(self, other)
        return found

    def select(self, rule: str) -> Point:
        """The point that a selection rule chooses: `lmos`, `knee`, `ideal`, `min_latency`, `budget:S`, `slack:P`.

        Raises InputError for an unknown rule, InfeasibleError if no point satisfies it.
        """
        point: Point = late("lmos_opt.rules.selection:select")(self, rule)
        return point

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame with a row for each point and a column for each objective; splits also have `x1` to `xK`,
        `edge_layers` and, of more than two places, `places`; `solution` and `codecs` stand there if points have them. If an
        objective has one of these names, the other column's name ends in an underscore: see `own_column`."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for point in self.points:
            own: dict[str, Any] = {}
            if point.edge_layers is not None:
                own |= {f"x{p}": count for p, count in enumerate(point.counts, 1)}
                own["edge_layers"] = list(point.edge_layers)
            if point.later_layers is not None:
                own["places"] = [list(layers) for layers in point.places]
            if point.solution is not None:
                own["solution"] = point.solution
            if point.codecs is not None:
                own["codecs"] = point.codecs
            rows.append({**point.values, **{own_column(name, self.names): value for name, value in own.items()}})
        columns = [*self.names, *(own_column(name, self.names) for name in ("x1", "x2", "edge_layers"))] if not rows else None
        return pd.DataFrame(rows, columns=columns)

    def to_latex(self, caption: str | None = None, label: str | None = None) -> str:
        """The front as a LaTeX table in the style of booktabs: a row for each point, the objectives with their units, and `x1` to
        `xK`."""
        text: str = late("lmos_opt.fronts.showing:to_latex")(self, caption, label)
        return text

    def _repr_html_(self) -> str:
        """What a notebook shows: the points as a table, of many the first and the last, and what was searched."""
        text: str = late("lmos_opt.fronts.showing:to_html")(self)
        return text

    def plot(self, ax: Axes | None = None, *, color: str | None = None, label: str | None = None, chosen: Point | None = None,
             cuts: Sequence[Split] = (), rules: Sequence[str] = ()) -> Axes:  # fmt: skip
        """Draw the front, also into Axes that hold fronts already; returns the Axes. See `lmos_opt.plots.front.draw_front`."""
        axes: Axes = late("lmos_opt.plots.front:draw_front")(self, ax, chosen, color=color, label=label, cuts=cuts, rules=rules)
        return axes

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote, by suffix: `.csv`, `.parquet`, anything else as JSON. InputError names what is wrong in it."""
        if Path(path).suffix.lower() not in (".csv", ".parquet"):
            return super().load(path)
        found: Self = late("lmos_opt.fronts.tables:read")(path)
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the front by suffix: `.json`, `.csv`, `.parquet`; `load` reads an equal front from each.

        Tables join layers with spaces in CSV (places with bars) and keep lists in Parquet. The table of an incomplete front also
        has the column `complete`, so that it never looks like a whole front.
        """
        if checked_suffix(path, SUFFIXES) == ".json":
            super().save(path)
        else:
            late("lmos_opt.fronts.tables:write")(self, path)


def own_column(name: str, objectives: Sequence[str]) -> str:
    """The name of a table's own column, such as `x1`, beside those of the objectives: with an underscore if one has it already.

    >>> own_column("x1", ["latency", "memory"]), own_column("x1", ["x1", "cost"])
    ('x1', 'x1_')
    """
    while name in objectives:
        name += "_"
    return name
