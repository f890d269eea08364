"""What a codec makes of the tensors that cross: how many bytes each takes on the way, and what that costs at both ends.

An instance without a coding sends tensors as they are. Edge memory knows nothing of codecs: tensors lie there as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Amount, Count, Detail, Name, Record
from lmos_opt.units import codec_words

RAW = "raw"
"""The codec that leaves tensors as they are."""
CodecName = Annotated[Name, Field(pattern=r"^[a-z][a-z0-9_]*(:[A-Za-z0-9.,_-]+)?$", max_length=100)]
"""A codec's name, and its argument after a colon: `int8`, `jpeg:75`."""


class Ends(Record):
    """The time (s) that encoding and decoding a tensor takes."""

    encode_s: Amount = 0.0
    decode_s: Amount = 0.0


class Sent(Ends):
    """A layer's output under a codec: its bytes on the way, and the time (s) that encoding and decoding it takes, at each place as
    `at_places` say, where there are any.

    `parts` are the bytes of each tensor, where the layer has several.
    """

    bytes: Count
    parts: tuple[Count, ...] = ()
    at_places: tuple[Ends, ...] = ()

    def at(self, p: int) -> Ends:
        """What the ends take at place p, counted from 1."""
        return self.at_places[p - 1] if self.at_places else self

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        for key in ("encode_s", "decode_s") if self.at_places else ("at_places",):
            found.pop(key)
        order = ("bytes", "encode_s", "decode_s", "parts", "at_places")
        return {key: found[key] for key in order if key in found}


class Coding(Record):
    """A codec, and what it makes of layers' outputs by the layer's name, and of inputs by theirs; any other travels as it is.

    `codecs` names those that have another codec than the rest.
    """

    codec: CodecName
    codecs: dict[Name, CodecName] = Field(default_factory=dict)
    sent: dict[Name, Sent]

    @property
    def in_words(self) -> str:
        """What encodes which tensors, for people."""
        return codec_words(self.codec, self.codecs)

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        if not self.codecs:
            found.pop("codecs")
        return found


class MeasuredCodec(Record):
    """As a `Coding`, measured on this machine; `about` says on what, and under which conditions."""

    sent: dict[Name, Sent]
    about: dict[Name, Detail]


def check_names(places: Mapping[str, Collection[str]], tensors: Collection[str]) -> None:
    """Raises InvalidError where neither a layer nor an input is named; `places` says where in the file that is."""
    problems = [Problem(f"{place}.{name}", "names no layer") for place, names in places.items()
                for name in names if name not in tensors]
    if problems:
        raise InvalidError(problems)
