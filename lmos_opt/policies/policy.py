"""`Policy`: the split that a rule chooses as a function of a hop's bandwidth, of a place's memory, or of the length of a decoder's
text; exact, not sampled."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from lmos_opt.files import Amount, Count, Document, Flag, Name, Number, Rate, Record, Text, Value
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.imports import late
from lmos_opt.places import Counted, from_placed, to_placed
from lmos_opt.processes.writing import checked_suffix, write_atomically
from lmos_opt.units import counted, parse_rate, parse_size, whole_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Kind = Literal["bandwidth", "memory", "context"]
UNITS: dict[Kind, str] = {"bandwidth": "B/s", "memory": "B", "context": "tokens"}
"""The quantities that policies vary, and their units."""
_EXPECTED = "bandwidth, bandwidth:HOP, memory, memory:PLACE (numbers from 1), context"
SUFFIXES = (".json", ".csv")


@dataclass(frozen=True)
class Over:
    """The quantity that a policy varies: the bandwidth of a hop, the memory limit of a place (both are counted from 1), or the
    context."""

    kind: Kind
    number: int = 1

    @classmethod
    def parse(cls, text: str, option: str = "over") -> Over:
        """The quantity that `bandwidth`, `bandwidth:HOP`, `memory`, `memory:PLACE` or `context` names; InputError for anything
        else."""
        name, colon, number = text.partition(":")
        kind = next((kind for kind in UNITS if kind == name), None)
        which = whole_of(number) if colon else 1
        if kind is None or not which or (colon and kind == "context"):
            raise InputError(option, f"{text!r:.60} is not one of {_EXPECTED}")
        return cls(kind, which)

    def of(self, instance: str, n_places: int) -> Over:
        """This quantity, unchanged. InputError if the instance has no such hop or place."""
        what, most = ("hop", n_places - 1) if self.kind == "bandwidth" else ("place", n_places)
        if not 1 <= self.number <= most:
            raise InputError(what, f"got {self.number}, but {instance} has {counted(most, what)}; expected "
                                   f"{'1' if most == 1 else f'1 to {most}'}")
        return self

    def __str__(self) -> str:
        """The text of a file: without a number for the first hop or place."""
        return self.kind if self.number == 1 else f"{self.kind}:{self.number}"


class Stretch(Counted, Record):
    """A part of the range in which one split is chosen: from `low` to below `high` (the last stretch: `high` included).

    `edge_layers` are the first place's layers; over more than two places `later_layers` are those of each further one, instead of
    `n_layers`. At bandwidth B of the policy's hop (of the first hop, if no bandwidth varies) the split takes
    `fixed_s + crossing_bytes / B` seconds. `memory_bytes` is the first place's memory. Over a context these numbers are those of
    one more token after `low` others, each further token adds `growth_s` to the time, and `memory_bytes` is for the stretch's
    longest context. If the rule admits no split (a latency budget below the least latency), all fields of the split are None.
    """

    low: Value
    high: Value
    edge_layers: tuple[Name, ...] | None
    n_layers: Count | None
    fixed_s: Amount | None
    crossing_bytes: Count | None
    memory_bytes: Count | None
    later_layers: tuple[tuple[Name, ...], ...] | None = None
    growth_s: Number | None = None

    @model_serializer(mode="wrap")
    def _as_places(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found = to_placed(serialise(self))
        return found if self.growth_s is not None else {key: value for key, value in found.items() if key != "growth_s"}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        rest = self.later_layers if self.n_layers is None else self.n_layers
        split = (self.edge_layers, rest, self.fixed_s, self.crossing_bytes, self.memory_bytes)
        if None in split and any(value is not None for value in split):
            raise InvalidError([Problem("edge_layers", "expected a whole split, or null for all that it consists of")])
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        return from_placed(data, handler, info.context)

    def latency_s(self, bandwidth: float, context: float | None = None) -> float:
        """The split's latency (s) at a bandwidth (B/s); infinite if there is no split.

        In a policy over contexts: the time of one more token after `context` tokens (None: after `low`).
        """
        if self.fixed_s is None or self.crossing_bytes is None:
            return float("inf")
        more = 0.0 if context is None or self.growth_s is None else (context - self.low) * self.growth_s
        return self.fixed_s + self.crossing_bytes / bandwidth + more


class Policy(Document):
    """A rule's choice over a range. `stretches` are in ascending order and without gaps; two neighbours have different splits.

    `over` is the quantity that varies: `bandwidth` (B/s; then `bandwidth_bytes_per_s` is None) or `memory` (the limit in whole
    bytes; then `memory_limit_bytes` is None), of the first hop or place, or of another one: `bandwidth:2`; or `context` (in whole
    tokens; times are then those of one more token). Breakpoints of a bandwidth are the doubles nearest to the exact ones. Exactly
    at a breakpoint the rule finds two splits equally good; the policy then has the one of the larger bandwidth.
    """

    SCHEMA: ClassVar[str] = "lmos.policy/1"
    schema_: Literal["lmos.policy/1"] = Field("lmos.policy/1", alias="schema")
    instance: Name
    rule: Text
    over: Text
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
        try:
            over = Over.parse(self.over)
        except InputError:
            raise InvalidError([Problem("over", f'got "{self.over}", expected one of {_EXPECTED}')]) from None
        if (over.kind == "bandwidth") != (self.bandwidth_bytes_per_s is None):
            problems.append(Problem("bandwidth_bytes_per_s", "expected null where the policy is over bandwidth, and only there"))
        problems += [Problem(f"stretches[{k}].growth_s", "is said where a split is chosen over a context, and only there")
                     for k, one in enumerate(self.stretches)
                     if (one.growth_s is None) == (over.kind == "context" and one.edge_layers is not None)]  # fmt: skip
        if problems:
            raise InvalidError(problems)
        return self

    @property
    def low(self) -> float:
        """The least bandwidth (B/s), memory limit (B) or context of the range."""
        return self.stretches[0].low

    @property
    def high(self) -> float:
        """The largest bandwidth (B/s), memory limit (B) or context of the range."""
        return self.stretches[-1].high

    @property
    def varied(self) -> Over:
        """The quantity that varies, with its number."""
        return Over.parse(self.over)

    @property
    def unit(self) -> str:
        """`B/s`, `B` or `tokens`."""
        return UNITS[self.varied.kind]

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Where the choice changes, ascending."""
        return tuple(stretch.low for stretch in self.stretches[1:])

    def at(self, value: float | str) -> Stretch:
        """The choice at a bandwidth (B/s or `20Mbps`), under a memory limit (B or `8MB`), or at a context.

        Raises InputError outside the range, InfeasibleError if the rule admits no split.
        """
        number = parse_rate(value, self.over) if self.varied.kind == "bandwidth" else parse_size(value, self.over)
        if not self.low <= number <= self.high:
            raise InputError(self.over, f"{value} lies outside the policy's range, {self.low!r} to {self.high!r} {self.unit}")
        found = self.stretches[bisect_right(self.breakpoints, number)]
        if found.edge_layers is None:
            raise InfeasibleError(self.instance, (f"rule {self.rule} at {self.over} {value}",))
        return found

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame with a row for each stretch and the columns of `Stretch` (over more than two places also `x3` and so
        on); values of a stretch without a split are NA."""
        import pandas as pd

        frame = pd.DataFrame([stretch.model_dump() for stretch in self.stretches])
        counts = [column for column in frame if str(column).removeprefix("x").isdecimal() or str(column).endswith("_bytes")]
        return frame.astype(dict.fromkeys(counts, "Int64"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the number of layers up to each place except the last as steps; returns the matplotlib Axes."""
        axes: Axes = late("lmos_opt.plots.policy:draw_policy")(self, ax)
        return axes

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policy by suffix: `.json` (reads back equal) or `.csv` (layers joined with spaces, places with bars)."""
        suffix = checked_suffix(path, SUFFIXES)
        if suffix == ".json":
            super().save(path)
            return
        frame = self.to_frame()
        for column, between in (("edge_layers", " "), ("places", " | ")):
            if column in frame:
                frame[column] = [between.join(map(_words, found)) if isinstance(found, tuple | list) else None
                                 for found in frame[column]]
        write_atomically(path, frame.to_csv(index=False).encode())


def wrong_policies(policies: Sequence[Policy | None], n_places: int) -> Iterator[Problem]:
    """Policies, one a hop, that are not over their hop's bandwidth, or choose splits of another number of places."""
    for h, policy in enumerate(policies, 1):
        where = "policy" if h == 1 else f"later_policies[{h - 2}]"
        if policy is None:
            continue
        if policy.over != str(over := Over("bandwidth", h)):
            yield Problem(f"{where}.over", f"got {policy.over!r}, expected '{over}'")
        for k, stretch in enumerate(policy.stretches):
            if stretch.counts and len(stretch.counts) != n_places:
                yield Problem(f"{where}.stretches[{k}]", f"is of {len(stretch.counts)} places; this plan has {n_places}")


def _words(layers: str | Sequence[str]) -> str:
    return layers if isinstance(layers, str) else " ".join(layers)
