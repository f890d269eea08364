"""A plan's file, read without pydantic: all that running it takes is checked, and the file's own words go into the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmos_edge.fields import Fields, many, number, of, read_json, text, whole
from lmos_opt.errors import InputError, Problem
from lmos_opt.plans.predicted import stages
from lmos_opt.units import codec_words
from measurement.pictures.cropping import ORDERS
from runner.wire.protocol.turns import asked

TWO, PLACES = "lmos.plan/1", "lmos.plan/2"
RAW = "raw"
CODECS = (RAW, "fp16", "int8")
"""Those that the edge without torch encodes."""
DTYPES = {"float64": 8, "float32": 4, "float16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
          "complex64": 8, "complex128": 16}  # fmt: skip
"""Bytes of an element, by the names that numpy and torch share."""
LARGEST_CROSSING_BYTES = 2**30
MOST_TENSORS = 4096
MOST_SIDE = 2**14
_INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
_GRANULARITIES = ("module", "paper")
_LAYOUTS = ("NCHW", "NHWC", "CHW", "HWC")


@dataclass(frozen=True)
class Spec:
    """One tensor: shape, and dtype by the name that numpy and torch share."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.shape) * DTYPES[self.dtype]


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes an input, as a plan says it (`lmos_opt.preprocessing.Preprocessing`); `data` are the file's words."""

    resize: int | tuple[int, int]
    crop: tuple[int, int]
    interpolation: str
    channels: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: str
    dtype: str
    data: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the input."""
        sizes = {"N": 1, "C": len(self.channels), "H": self.crop[0], "W": self.crop[1]}
        return tuple(sizes[axis] for axis in self.layout)

    @classmethod
    def read(cls, fields: Fields) -> Preprocessing | None:
        """None if something is wrong, which is noted."""
        before = len(fields.problems)
        found = cls(
            fields.take("resize", "a side or two, in pixels", _resize),
            fields.take("crop", "two sides in pixels", _two_sides),
            fields.one_of("interpolation", _INTERPOLATIONS, "bilinear"),
            fields.one_of("channels", ORDERS),
            fields.number("scale"),
            fields.take("mean", "a number a channel", lambda value: many(value, number)),
            fields.take("std", "a number a channel", lambda value: many(value, number)),
            fields.one_of("layout", _LAYOUTS, "NCHW"),
            fields.one_of("dtype", ("float32", "float16", "float64", "uint8"), "float32"),
            fields.data,
        )
        if len(fields.problems) == before:
            for key, values in (("mean", found.mean), ("std", found.std)):
                if len(values) != len(found.channels):
                    fields.wrong(key, f"has {len(values)} numbers; {found.channels} has {len(found.channels)} channels")
            for key, values in (("scale", (found.scale,)), ("std", found.std)):
                if min(values, default=1) <= 0:
                    fields.wrong(key, "must be above 0")
        return found if len(fields.problems) == before else None


@dataclass(frozen=True)
class Plan:
    """A plan that can be run.

    `data` is the content of the file, `inputs` are the network's inputs, `crossing` the tensors that the first place sends,
    `later_layers` the layers of each later place. `codec` encodes every tensor, except those that have a codec in `codecs`.
    """

    data: Mapping[str, Any]
    inputs: Mapping[str, Spec]
    edge_layers: tuple[str, ...]
    later_layers: tuple[tuple[str, ...], ...]
    crossing: Mapping[str, Spec]
    codec: str
    codecs: Mapping[str, str]
    predicted: Mapping[str, float]
    preprocessing: Preprocessing | None

    @property
    def network(self) -> Mapping[str, Any]:
        """The plan's network, as an object of the file."""
        found: Mapping[str, Any] = self.data["network"]
        return found

    @property
    def n_places(self) -> int:
        """Over how many places the layers are split."""
        return 1 + len(self.later_layers)

    def codec_of(self, tensor: str) -> str:
        """The name of a tensor's codec."""
        return self.codecs.get(tensor, self.codec)

    @property
    def codecs_used(self) -> list[str]:
        """The codecs that change something, each once."""
        return [name for name in dict.fromkeys([self.codec, *self.codecs.values()]) if name != RAW]

    @property
    def codec_words(self) -> str:
        """What encodes which tensors, for people."""
        return codec_words(self.codec, self.codecs)

    @property
    def offloads(self) -> bool:
        """Whether a layer runs beyond the first place."""
        return any(self.later_layers) or bool(self.data.get("x2"))

    @property
    def memory_limit_bytes(self) -> int | None:
        """What the first place may use, if that is limited."""
        setting = self.data["setting"]
        first = setting["places"][0] if setting.get("places") else setting
        limit: int | None = first.get("memory_limit_bytes")
        return limit

    def opening(self, session: str) -> dict[str, Any]:
        """The header that asks a server for the rest of the network."""
        network = self.network
        source = {key: network[key] for key in ("builder", "weights", "digest", "opaque") if key in network}
        inputs = {key: network[key] for key in ("input", "input_tensors", "arguments") if key in network}
        later = {"later_layers": [list(layers) for layers in asked(self.later_layers)]} if self.n_places > 2 else {}
        return {"session": session, "network": source, "granularity": network["granularity"], **inputs,
                "edge_layers": list(self.edge_layers), **later, "codec": self.codec,
                **({"codecs": dict(self.codecs)} if self.codecs else {})}

    @classmethod
    def load(cls, path: Path) -> Plan:
        """The plan in a file; InputError, which names all that is wrong with it, where it cannot be run here."""
        data, problems = read_json(path), list[Problem]()
        found = cls._read(Fields(data, problems))
        if problems or found is None:
            raise InputError(str(path), problems)
        if len(found.crossing) > MOST_TENSORS:
            raise InputError(str(path), f"crossing: {len(found.crossing)} tensors cross; at most {MOST_TENSORS} can be sent")
        total = sum(spec.bytes for spec in found.crossing.values())
        if total > LARGEST_CROSSING_BYTES:
            raise InputError(str(path), f"crossing: {total} bytes cross; at most {LARGEST_CROSSING_BYTES} can be sent")
        return found

    @classmethod
    def _read(cls, fields: Fields) -> Plan | None:
        schema = fields.one_of("schema", (TWO, PLACES))
        if fields.problems:
            return None
        if fields.data.get("network", 0) is None:
            fields.wrong("network", "is null: this plan was made from numbers alone, which cannot be run")
            return None
        network = fields.inside("network")
        for key in ("builder", "weights", "digest", "name"):
            network.text(key)
        network.one_of("granularity", _GRANULARITIES)
        inputs = _inputs(network)
        has_pictures = network.data.get("preprocessing") is not None
        how = Preprocessing.read(network.inside("preprocessing")) if has_pictures else None
        places, crossing = _split(fields, schema)
        codec, codecs = fields.one_of("codec", CODECS, RAW), _codecs(fields, crossing)
        predicted = fields.inside("predicted")
        numbers = {key: predicted.number(key) for key in predicted.data}
        for key in stages(len(places)):
            if key not in numbers and key not in (fields.data.get("unpredicted") or {}):
                predicted.wrong(key, "is missing")
        _check_setting(fields.inside("setting"))
        if fields.data.get("promise") is not None:
            for key in ("deadline_s", "confidence"):
                fields.inside("promise").number(key)
        return cls(fields.data, inputs, places[0], places[1:], crossing, codec, codecs, numbers, how)


def _resize(value: Any) -> int | tuple[int, int]:
    return _two_sides(value) if isinstance(value, list) else _side(value)


def _two_sides(value: Any) -> tuple[int, int]:
    high, wide = many(value, _side)
    return high, wide


def _side(value: Any) -> int:
    if not 1 <= whole(value) <= MOST_SIDE:
        raise ValueError
    return int(value)


def _inputs(network: Fields) -> dict[str, Spec]:
    """What the network takes, by name."""
    if "input_tensors" not in network.data:
        return _specs(network, ["input"])
    tensors = network.inside("input_tensors")
    return _specs(tensors, tensors.data)


def _specs(around: Fields, names: Iterable[str]) -> dict[str, Spec]:
    found = {}
    for name in names:
        found[name] = _spec(around.inside(name))
    return found


def _split(fields: Fields, schema: str) -> tuple[tuple[tuple[str, ...], ...], dict[str, Spec]]:
    """The layers of each place, and what crosses the first hop."""
    if schema == TWO:
        x1, x2, edge = fields.whole("x1"), fields.whole("x2"), fields.texts("edge_layers") or ()
        crossing = _crossing(fields, fields.take("crossing", "a list of tensors", lambda v: many(v, of(dict))) or (), "crossing")
        if not fields.problems and x1 != len(edge):
            fields.wrong("x1", f"got {x1}, but edge_layers are {len(edge)}")
        if x2 == 0 and crossing:
            fields.wrong("x2", f"got 0, but {', '.join(crossing)} crosses")
        return (edge, ()), crossing
    before = len(fields.problems)
    places = fields.take("places", "at least three lists of layers", _places)
    hops = fields.take("crossing", "a list of tensors for each hop", lambda value: many(value, lambda hop: many(hop, of(dict))))
    if len(fields.problems) > before:
        return ((), ()), {}
    if len(hops) != len(places) - 1:
        fields.wrong("crossing", f"has {len(hops)} hops; expected {len(places) - 1}")
        return places, {}
    return places, _crossing(fields, hops[0], "crossing[0]")


def _places(value: Any) -> tuple[tuple[str, ...], ...]:
    found = many(value, lambda layers: many(layers, text))
    if len(found) < 3:
        raise ValueError
    return found


def _codecs(around: Fields, crossing: Mapping[str, Spec]) -> dict[str, str]:
    """The codecs of tensors that have one of their own; what is encoded here, in one that is known here."""
    if "codecs" not in around.data:
        return {}
    fields = around.inside("codecs")
    return {name: fields.one_of(name, CODECS) if name in crossing else fields.text(name) for name in fields.data}


def _crossing(around: Fields, tensors: Sequence[Mapping[str, Any]], path: str) -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    for k, tensor in enumerate(tensors):
        fields = Fields(tensor, around.problems, f"{path}[{k}]")
        name = fields.text("name")
        if name in found:
            fields.wrong("name", f"{name!r} stands twice")
        found[name] = _spec(fields)
    return found


def _spec(fields: Fields) -> Spec:
    return Spec(fields.take("shape", "a list of whole numbers", lambda value: many(value, whole)), fields.one_of("dtype", DTYPES))


def _check_setting(setting: Fields) -> None:
    places = setting.data.get("places")
    first = Fields(places[0], setting.problems, f"{setting.path}.places[0]") if places and isinstance(places, list) and isinstance(
        places[0], dict) else setting  # fmt: skip
    if first.data.get("memory_limit_bytes") is not None:
        first.whole("memory_limit_bytes")
