"""What a codec does with crossing tensors: the bytes of each on the link, and the times to encode and decode.

An instance without a coding sends tensors as they are. Codecs do not change edge memory: in memory, tensors are not encoded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import Amount, Count, Detail, Flag, Name, Record, Text
from lmos_opt.units import codec_words, counted

RAW = "raw"
"""The codec that leaves tensors as they are."""
CodecName = Annotated[Name, Field(pattern=r"^[a-z][a-z0-9_]*(:[A-Za-z0-9.,_-]+)?$", max_length=100)]
"""A codec's name, with its argument after a colon: `int8`, `jpeg:75`."""


class Ends(Record):
    """The time (s) that encoding and decoding a tensor takes."""

    encode_s: Amount = 0.0
    decode_s: Amount = 0.0


class Sent(Ends):
    """A layer's output under a codec: its bytes on the link, and the times (s) to encode and decode it, at each place as in
    `at_places` if that is given.

    `parts` are the bytes of each tensor, if the layer has several.
    """

    bytes: Count
    parts: tuple[Count, ...] = ()
    at_places: tuple[Ends, ...] = ()

    def at(self, p: int) -> Ends:
        """The times to encode and decode at place p, counted from 1."""
        return self.at_places[p - 1] if self.at_places else self

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        for key in ("encode_s", "decode_s") if self.at_places else ("at_places",):
            found.pop(key)
        order = ("bytes", "encode_s", "decode_s", "parts", "at_places")
        return {key: found[key] for key in order if key in found}


class Choice(Sent):
    """One way to send a tensor: a codec's `name`, the bytes and times, and how much of the network's result is lost if only this
    tensor crosses in this way (a fraction: 0.01 is 1 %)."""

    name: CodecName
    loss: Amount = 0.0

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        left_out = {*(("encode_s", "decode_s") if self.at_places else ("at_places",)), *([] if self.parts else ["parts"])}
        order = ("name", "bytes", "encode_s", "decode_s", "loss", "parts", "at_places")
        return {key: found[key] for key in order if key not in left_out}


Choices = dict[Name, Annotated[tuple[Choice, ...], Field(min_length=1)]]


class Coded:
    """Bytes and times of an instance's tensors with codecs. Methods only, because fields would become keys of the file."""

    @cached_property
    def _sent(self) -> Mapping[str, Sent]:
        record: Any = self
        chosen = {name: choices[0] for name, choices in record.codecs.items()}
        return chosen if record.coding is None else {**record.coding.sent, **chosen}

    def ways(self, name: str) -> tuple[Sent, ...]:
        """Bytes and times of a tensor in each codec in which it may be sent; empty if it is sent raw."""
        record: Any = self
        found: tuple[Sent, ...] = record.codecs.get(name, ())
        return found or tuple(sent for sent in (self._sent.get(name),) if sent is not None)

    @property
    def takes_coding(self) -> bool:
        """Whether a codec may take time somewhere."""
        return bool(self._sent)

    def sent_bytes(self, name: str) -> int:
        """The bytes on the link if an input or a layer's output crosses: `u[name]`, unless a codec changes it. For a tensor whose
        codec is to be chosen, they are those of the first codec."""
        record: Any = self
        sent = self._sent.get(name)
        return int(record.tensor_bytes(name)) if sent is None else sent.bytes

    def encode_s(self, name: str, p: int = 1) -> float:
        """The time (s) at place p to encode what is made there and crosses; 0 if nothing is encoded."""
        sent = self._sent.get(name)
        return 0.0 if sent is None else sent.at(p).encode_s

    def decode_s(self, name: str, p: int | None = None) -> float:
        """The time (s) at place p (default: the last) to decode what arrives and is read there."""
        record: Any = self
        sent = self._sent.get(name)
        return 0.0 if sent is None else sent.at(p or len(record.places)).decode_s

    @cached_property
    def chosen_among(self) -> tuple[str, ...]:
        """The tensors whose codec is to be chosen, or is chosen: those that `codecs` names and that any layer reads."""
        record: Any = self
        return tuple(name for name in record.tensors if name in record.codecs and record.consumers[name])

    @property
    def has_open_codecs(self) -> bool:
        """Whether a tensor that any layer reads has several codecs to choose among."""
        record: Any = self
        return any(len(record.codecs[name]) > 1 for name in self.chosen_among)

    def coded(self, codecs: Mapping[str, str]) -> Self:
        """The instance with codecs chosen for some tensors, by the tensors' names. InputError for a codec that is not admitted."""
        record: Any = self
        chosen = dict(record.codecs)
        for name, codec in codecs.items():
            admitted = {choice.name: choice for choice in record.codecs.get(name, ())}
            if codec not in admitted:
                known = ", ".join(admitted) or "none"
                raise InputError(record.name, f"{name} cannot be sent as {codec!r:.60}; its codecs are {known}")
            chosen[name] = (admitted[codec],)
        found: Any = record.model_copy(update={"codecs": chosen})
        found.__dict__.pop("_sent", None)
        if record.scenarios:
            found.__dict__["in_scenarios"] = tuple(one.coded(codecs) for one in record.in_scenarios)
        same: Self = found
        return same


def wrong_ends(path: str, sent: Sent, n_places: int) -> Iterator[Problem]:
    """The problems of a codec's times, if there are this many places."""
    if sent.at_places and len(sent.at_places) != n_places:
        yield Problem(f"{path}.at_places", f"has {counted(len(sent.at_places), 'item')}; expected {n_places}, one for each place")


def wrong_choices(codecs: Mapping[str, tuple[Choice, ...]], coding: Coding | None, n_places: int) -> Iterator[Problem]:
    """The problems of codecs to choose among."""
    for name, choices in codecs.items():
        names = [choice.name for choice in choices]
        for k, choice in enumerate(choices):
            if choice.name in names[:k]:
                yield Problem(f"codecs.{name}[{k}].name", f"{choice.name!r} is the name of an earlier codec of this tensor")
            yield from wrong_ends(f"codecs.{name}[{k}]", choice, n_places)
        if coding is not None and name in coding.sent:
            yield Problem(f"codecs.{name}", "is sent as coding says already; leave it out of one of the two")


class Coding(Record):
    """A codec, and what it does with layers' outputs by the layer's name, and with inputs by theirs; all others are sent as they
    are.

    `codecs` names the tensors that have another codec than the rest.
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
    """A `Coding` that was measured on this machine; `about` says on which inputs, and under which conditions."""

    sent: dict[Name, Sent]
    about: dict[Name, Detail]


class Calibration(Record):
    """The inputs on which losses were measured.

    `inputs` is their number, `of` describes the set, and `part` says which part of the set they are. `seed` decides which half of
    the set is for calibration; the other half is left for checks. `criterion` says what counts as a loss (`runner.lab.fidelity`).
    `right` is the share of inputs that the whole network classifies right, if labels are known. `complete` is false if the
    measurement ended before its last input. `confidence` is that of `Fidelity.upper` (None: a search uses the means).
    """

    criterion: Literal["labels", "classes", "outputs"]
    of: Text
    part: Literal["calibration", "held-out", "all"]
    inputs: Annotated[Count, Field(ge=1)]
    seed: Count
    right: Amount | None = None
    complete: Flag = True
    weights: Text | None = None
    confidence: Annotated[Amount, Field(gt=0, lt=1)] | None = None


class Fidelity(Record):
    """The losses of a network's result if only one tensor crosses in a codec.

    `losses` are the means over the inputs, by codec and tensor, as fractions (0.01 is 1 %). With the confidence of `calibration`,
    each true loss is at most `upper` (Clopper and Pearson's one-sided limit; 0 for a lossless codec). `errors` are the mean errors
    of outputs, as shares of their length as a vector.
    """

    calibration: Calibration
    losses: dict[CodecName, dict[Name, Amount]]
    upper: dict[CodecName, dict[Name, Amount]] | None = None
    errors: dict[CodecName, dict[Name, Amount]] = Field(default_factory=dict)

    @property
    def counted_with(self) -> dict[str, dict[str, float]]:
        """The losses that a search uses, by codec and tensor: the upper ends, if the record has them."""
        return self.losses if self.upper is None else self.upper

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if (self.upper is None) != (self.calibration.confidence is None):
            raise InvalidError([Problem("upper", "and calibration.confidence stand together or not at all")])
        if self.upper is not None and {c: set(of) for c, of in self.upper.items()} != {c: set(of) for c, of in self.losses.items()}:
            raise InvalidError([Problem("upper", "is not of the codecs and tensors of losses")])
        return self


def check_names(places: Mapping[str, Collection[str]], tensors: Collection[str]) -> None:
    """Raises InvalidError if neither a layer nor an input is named; `places` says where in the file that is."""
    problems = [Problem(f"{place}.{name}", "names no layer") for place, names in places.items()
                for name in names if name not in tensors]
    if problems:
        raise InvalidError(problems)
