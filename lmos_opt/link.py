"""Links as data: the rate of the link from the edge to the server, and how long one exchange takes, with sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lmos_opt.data import bundled
from lmos_opt.device import Source
from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Amount, Document, Name, Rate, Text


class Link(Document):
    """A link from edge to server: its rate in that direction (B/s) and its round-trip time (s; None: unknown).

    Nominal rates are those of a standard; an application gets less. A measured link has an interval for each number, with 95 %
    confidence.
    """

    SCHEMA: ClassVar[str] = "lmos.link/1"
    schema_: Literal["lmos.link/1"] = Field("lmos.link/1", alias="schema")
    name: Name
    description: Text
    bandwidth_bytes_per_s: Rate
    rtt_s: Amount | None
    bandwidth_interval_bytes_per_s: tuple[Rate, Rate] | None = None
    rtt_interval_s: tuple[Amount, Amount] | None = None
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _between(self) -> Self:
        found = {"bandwidth_interval_bytes_per_s": (self.bandwidth_interval_bytes_per_s, self.bandwidth_bytes_per_s),
                 "rtt_interval_s": (self.rtt_interval_s, self.rtt_s)}  # fmt: skip
        problems = [Problem(name, f"got {interval[0]!r} to {interval[1]!r}, and the value {value!r} does not lie there")
                    for name, (interval, value) in found.items()
                    if interval is not None and (value is None or not interval[0] <= value <= interval[1])]  # fmt: skip
        if problems:
            raise InvalidError(problems)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The keys of the file; intervals only if they are known."""
        found = super().to_dict()
        return {key: value for key, value in found.items() if value is not None or "interval" not in key}


def load_link(link: Link | str | os.PathLike[str]) -> Link:
    """The link that text names: a bundled one or a link file; a Link is returned unchanged. InputError for anything else."""
    if isinstance(link, Link):
        return link
    path = Path(link)
    is_file = path.suffix == ".json" or path.is_file()
    return Link.load(path if is_file else bundled("links", str(link), "link"))
