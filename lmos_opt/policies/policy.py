"""`Policy`: the split that a rule chooses as a function of the bandwidth, or of the edge's memory; exact, not sampled."""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lmos_opt.errors import InfeasibleError, InputError, InvalidError, Problem
from lmos_opt.files import (
    Amount,
    Count,
    Document,
    Flag,
    Name,
    Rate,
    Record,
    Text,
    Value,
    checked_suffix,
    write_atomically,
)
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.imports import late
from lmos_opt.places import from_counts, with_counts
from lmos_opt.units import parse_rate, parse_size

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Over = Literal["bandwidth", "memory"]
SUFFIXES = (".json", ".csv")


class Stretch(Record):
    """Where one split is chosen: from `low` on and below `high` (the last stretch: `high` included).

    At bandwidth B the split takes `fixed_s + crossing_bytes / B` seconds. Where the rule admits no split (a latency
    budget below the least latency), everything of the split is None.
    """

    low: Value
    high: Value
    edge_layers: tuple[Name, ...] | None
    n_layers: Count | None
    fixed_s: Amount | None
    crossing_bytes: Count | None
    memory_bytes: Count | None

    @property
    def x1(self) -> int | None:
        """How many of the layers run at the edge; None where there is no split."""
        return None if self.edge_layers is None else len(self.edge_layers)

    @property
    def x2(self) -> int | None:
        """How many of the layers run at the server; None where there is no split."""
        return None if self.n_layers is None else self.n_layers - len(self.edge_layers or ())

    @model_serializer(mode="wrap")
    def _with_counts(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return with_counts(serialise(self))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        split = (self.edge_layers, self.n_layers, self.fixed_s, self.crossing_bytes, self.memory_bytes)
        if None in split and any(value is not None for value in split):
            raise InvalidError([Problem("edge_layers", "expected a whole split, or null for all that it consists of")])
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        return from_counts(data, handler, info.context)

    def latency_s(self, bandwidth: float) -> float:
        """The split's latency (s) at a bandwidth (B/s); infinite where there is no split."""
        if self.fixed_s is None or self.crossing_bytes is None:
            return float("inf")
        return self.fixed_s + self.crossing_bytes / bandwidth


class Policy(Document):
    """A rule's choice over a range: `stretches` adjoin in ascending order, and neighbours differ.

    `over` is what varies: `bandwidth` (B/s; then `bandwidth_bytes_per_s` is None) or `memory` (the limit in whole bytes;
    then `memory_limit_bytes` is None). Breakpoints of a bandwidth are the doubles nearest to the exact ones; at the
    very place two splits are equally good to the rule, and the one of the larger bandwidth stands.
    """

    SCHEMA: ClassVar[str] = "lmos.policy/1"
    schema_: Literal["lmos.policy/1"] = Field("lmos.policy/1", alias="schema")
    instance: Name
    rule: Text
    over: Over
    memory_model: MemoryModel
    proper_split: Flag
    bandwidth_bytes_per_s: Rate | None
    memory_limit_bytes: Count | None
    stretches: tuple[Stretch, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _adjoining(self) -> Self:
        problems = []
        for k, (one, following) in enumerate(zip(self.stretches, self.stretches[1:], strict=False)):
            if following.low != one.high:
                problems.append(Problem(f"stretches[{k + 1}].low", f"got {following.low!r}, but the one before ends at "
                                                                   f"{one.high!r}"))
        last = len(self.stretches) - 1
        problems += [Problem(f"stretches[{k}].high", f"got {one.high!r}, which does not lie above {one.low!r}")
                     for k, one in enumerate(self.stretches) if one.high < one.low or (one.high == one.low and k < last)]
        if self.stretches[0].low < 0:
            problems.append(Problem("stretches[0].low", "is negative"))
        if (self.over == "bandwidth") != (self.bandwidth_bytes_per_s is None):
            problems.append(Problem("bandwidth_bytes_per_s", "expected null where the policy is over bandwidth, and only there"))
        if problems:
            raise InvalidError(problems)
        return self

    @property
    def low(self) -> float:
        """The least bandwidth (B/s) or memory limit (B) of the range."""
        return self.stretches[0].low

    @property
    def high(self) -> float:
        """The largest bandwidth (B/s) or memory limit (B) of the range."""
        return self.stretches[-1].high

    @property
    def unit(self) -> str:
        """`B/s` or `B`."""
        return "B/s" if self.over == "bandwidth" else "B"

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Where the choice changes, ascending."""
        return tuple(stretch.low for stretch in self.stretches[1:])

    def at(self, value: float | str) -> Stretch:
        """The choice at a bandwidth (B/s or `20Mbps`), or under a memory limit (B or `8MB`).

        Raises InputError outside the range, InfeasibleError where the rule admits no split.
        """
        number = parse_rate(value, self.over) if self.over == "bandwidth" else parse_size(value, self.over)
        if not self.low <= number <= self.high:
            raise InputError(self.over, f"{value} lies outside the policy's range, {self.low!r} to {self.high!r} {self.unit}")
        found = self.stretches[bisect_right(self.breakpoints, number)]
        if found.edge_layers is None:
            raise InfeasibleError(self.instance, (f"rule {self.rule} at {self.over} {value}",))
        return found

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame with a row for each stretch and the columns of `Stretch`; values of a stretch without a split are
        NA."""
        import pandas as pd

        frame = pd.DataFrame([stretch.model_dump() for stretch in self.stretches])
        counts = ["x1", "x2", "crossing_bytes", "memory_bytes"]
        return frame.astype(dict.fromkeys(counts, "Int64"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the number of edge layers as steps; returns the matplotlib Axes."""
        axes: Axes = late("lmos_opt.plots.policy:draw_policy")(self, ax)
        return axes

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policy by suffix: `.json` (reads back equal) or `.csv` (`edge_layers` joined with spaces)."""
        suffix = checked_suffix(path, SUFFIXES)
        if suffix == ".json":
            super().save(path)
            return
        frame = self.to_frame()
        frame["edge_layers"] = [None if stretch.edge_layers is None else " ".join(stretch.edge_layers)
                                for stretch in self.stretches]
        write_atomically(path, frame.to_csv(index=False).encode())
