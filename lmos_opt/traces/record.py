"""A link over time: its rate from each second on and, if it is known, its round trip."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import fsum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lmos_opt.device import Source
from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import Amount, Document, Name, Text
from lmos_opt.units import parse_time

MOST_STEPS = 1_000_000
PARTS = "train (the first half), test (the second half) or LOW..HIGH such as 60s..120s"
RANGE = ".."


class LinkTrace(Document):
    """The rate (B/s) of a link from each of `seconds` on, until `ends_s`. A rate of 0 is an outage. `rtt_s` has a round trip for
    each, or is None if none is known."""

    SCHEMA: ClassVar[str] = "lmos.trace/1"
    schema_: Literal["lmos.trace/1"] = Field("lmos.trace/1", alias="schema")
    name: Name
    description: Text
    seconds: Annotated[tuple[Amount, ...], Field(min_length=1, max_length=MOST_STEPS)]
    rate_bytes_per_s: Annotated[tuple[Amount, ...], Field(min_length=1, max_length=MOST_STEPS)]
    rtt_s: tuple[Amount, ...] | None = None
    ends_s: Amount
    sources: tuple[Source, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        problems = [Problem(name, f"has {len(values)} numbers, seconds {len(self.seconds)}")
                    for name, values in (("rate_bytes_per_s", self.rate_bytes_per_s), ("rtt_s", self.rtt_s))
                    if values is not None and len(values) != len(self.seconds)]  # fmt: skip
        if self.seconds[0] != 0:
            problems.append(Problem("seconds[0]", f"got {self.seconds[0]!r}, expected 0"))
        problems += [Problem(f"seconds[{k}]", f"got {later!r}, expected more than {one!r}, which stands before it")
                     for k, (one, later) in enumerate(pairwise(self.seconds), 1) if later <= one][:8]  # fmt: skip
        if self.ends_s <= self.seconds[-1]:
            problems.append(Problem("ends_s", f"got {self.ends_s!r}, expected more than the last of seconds, {self.seconds[-1]!r}"))
        if not any(self.rate_bytes_per_s):
            problems.append(Problem("rate_bytes_per_s", "is 0 throughout: nothing ever gets through"))
        if problems:
            raise InvalidError(problems)
        return self

    @classmethod
    def of_steps(cls, name: str, description: str, steps: Sequence[tuple[float, float]], **further: Any) -> Self:
        """The trace of steps, each given as its length (s) and its rate (B/s)."""
        ends = [0.0]
        for lasts_s, _ in steps:
            ends.append(ends[-1] + lasts_s)
        return cls(schema="lmos.trace/1", name=name, description=description, seconds=tuple(ends[:-1]), ends_s=ends[-1],
                   rate_bytes_per_s=tuple(rate for _, rate in steps), **further)  # fmt: skip

    @property
    def lasts_s(self) -> list[float]:
        """The length of each step (s)."""
        return [later - one for one, later in pairwise((*self.seconds, self.ends_s))]

    @property
    def mean_bytes_per_s(self) -> float:
        """The mean rate over time (B/s)."""
        return fsum(rate * s for rate, s in zip(self.rate_bytes_per_s, self.lasts_s, strict=True)) / self.ends_s

    def reached(self, share: float) -> float:
        """The largest rate (B/s) that is reached in at least this share of the time."""
        left = share * self.ends_s
        for rate, s in sorted(zip(self.rate_bytes_per_s, self.lasts_s, strict=True), reverse=True):
            left -= s
            if left <= 1e-9 * self.ends_s:
                return rate
        return min(self.rate_bytes_per_s)

    def between(self, low_s: float, high_s: float) -> LinkTrace:
        """The part from one second to another, which then begins at second 0. InputError if the trace is shorter."""
        if not 0 <= low_s < high_s or low_s >= self.ends_s or high_s > self.ends_s * (1 + 1e-9):
            raise InputError(self.name, f"lasts from 0 s to {self.ends_s:g} s; {low_s:g} s to {high_s:g} s is no part of it")
        first, high_s = bisect_right(self.seconds, low_s) - 1, min(high_s, self.ends_s)
        last = next(k for k in range(len(self.seconds), 0, -1) if self.seconds[k - 1] < high_s)
        found = {"seconds": (0.0, *(at_s - low_s for at_s in self.seconds[first + 1 : last])), "ends_s": high_s - low_s,
                 "rate_bytes_per_s": self.rate_bytes_per_s[first:last], "rtt_s": self.rtt_s and self.rtt_s[first:last],
                 "name": f"{self.name}@{low_s:g}s..{high_s:g}s"}  # fmt: skip
        return type(self).from_dict({**self.to_dict(), **found}, self.name)

    def part(self, text: str) -> LinkTrace:
        """The part that text names: `train`, `test`, or two times such as `60s..120s`. InputError for any other."""
        half = self.ends_s / 2
        low, dots, high = text.partition(RANGE)
        if text in ("train", "test"):
            ends = (0.0, half) if text == "train" else (half, self.ends_s)
            return self.between(*ends).model_copy(update={"name": f"{self.name}@{text}"})
        if not dots:
            raise InputError(self.name, f"{text!r:.60} is no part of a trace; expected {PARTS}")
        return self.between(parse_time(low or "0", "part"), parse_time(high, "part") if high else self.ends_s)

    def to_dict(self) -> dict[str, Any]:
        """The file's keys; `rtt_s` and `sources` only where there are some."""
        return {key: value for key, value in super().to_dict().items() if value or key not in ("rtt_s", "sources")}
