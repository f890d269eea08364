"""What a codec makes of the tensors that cross: how many bytes each takes on the way, and what that costs at both ends.

An instance without a coding sends tensors as they are. Edge memory knows nothing of codecs: tensors lie there as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Amount, Count, Detail, Name, Record

RAW = "raw"
"""The codec that leaves tensors as they are."""
CodecName = Annotated[Name, Field(pattern=r"^[a-z][a-z0-9_]*(:[A-Za-z0-9.,_-]+)?$", max_length=100)]
"""A codec's name, and its argument after a colon: `int8`, `jpeg:75`."""


class Sent(Record):
    """A layer's output under a codec: its bytes on the way, and the time (s) that encoding and decoding it takes.

    `parts` are the bytes of each tensor, where the layer has several.
    """

    bytes: Count
    encode_s: Amount = 0.0
    decode_s: Amount = 0.0
    parts: tuple[Count, ...] = ()


class Coding(Record):
    """A codec, and what it makes of layers' outputs by the layer's name, and of inputs by theirs; any other travels as it is."""

    codec: CodecName
    sent: dict[Name, Sent]


class MeasuredCodec(Record):
    """As a `Coding`, measured on this machine; `about` says on what, and under which conditions."""

    sent: dict[Name, Sent]
    about: dict[Name, Detail]


def check_names(places: Mapping[str, Mapping[str, Sent]], tensors: Collection[str]) -> None:
    """Raises InvalidError where neither a layer nor an input is named; `places` says where in the file that is."""
    problems = [Problem(f"{place}.sent.{name}", "names no layer") for place, sent in places.items()
                for name in sent if name not in tensors]
    if problems:
        raise InvalidError(problems)
