"""Links as data: what the way from the edge to the server carries, and how long one exchange takes, with sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lmos_opt.data import bundled
from lmos_opt.device import Source
from lmos_opt.files import Amount, Document, Name, Rate, Text


class Link(Document):
    """A link from edge to server: its rate in that direction (B/s) and its round-trip time (s; None: unknown).

    Nominal rates are those of a standard; what an application gets is less.
    """

    SCHEMA: ClassVar[str] = "lmos.link/1"
    schema_: Literal["lmos.link/1"] = Field("lmos.link/1", alias="schema")
    name: Name
    description: Text
    bandwidth_bytes_per_s: Rate
    rtt_s: Amount | None
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]


def load_link(link: Link | str | os.PathLike[str]) -> Link:
    """A link as it is, by bundled name, or from a file; InputError for anything else."""
    if isinstance(link, Link):
        return link
    path = Path(link)
    is_file = path.suffix == ".json" or path.is_file()
    return Link.load(path if is_file else bundled("links", str(link), "link"))
