"""`Instance`: one split problem in numbers: the layers' graph, times, bytes, the link, the edge's memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lmos_opt.codec_sizes import Coding, Sent, check_names
from lmos_opt.device import LocalDevice, Power, TimesLayers, load_device
from lmos_opt.encoding import SizesTensors, coding_of
from lmos_opt.errors import InputError, MissingError, Problem, likely
from lmos_opt.files import Amount, Count, Document, Flag, Name, Number, Rate, Record
from lmos_opt.graph import INPUT, check_order
from lmos_opt.places import PlacesFile, as_places
from lmos_opt.profile import NetworkProfile
from lmos_opt.units import parse_rate, parse_size, parse_time

PLACES = ("edge", "server")
"""What the two places are called where a file does not say."""
_SPELLED = {"inputs.input": "input_bytes", "inputs": "input_bytes"}
"""What stands elsewhere in a file with one input than in the instance: where in the instance, and in the file."""


class Extra(dict[str, float]):
    """A layer's further numbers by key; MissingError, which names the layer, for one that it does not have."""

    def __init__(self, layer: str, numbers: Mapping[str, float]) -> None:
        super().__init__(numbers)
        self._layer = layer

    def __missing__(self, key: str) -> float:
        known = f"it has {', '.join(map(repr, self))}" if self else "it has none"
        raise MissingError(f"layer {self._layer}", f"has no number {key!r} of its own; {known}")


class InstanceLayer(Record):
    """One layer: its time at either side (s), its weights and its output tensor (B), and whether the network's result holds it.

    Further numbers under any other key (an energy, a price) are kept in `extra`, for objectives that users add.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, Number] = Field(init=False)

    name: Name
    inputs: tuple[Name, ...]
    t_edge_s: Amount
    t_server_s: Amount
    weight_bytes: Count
    output_bytes: Count
    returned: Flag = False

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialise(self)
        if not self.returned:
            found.pop("returned", None)
        return found

    @cached_property
    def extra(self) -> Extra:
        """The layer's further numbers by key."""
        return Extra(self.name, self.__pydantic_extra__)


class Instance(Document):
    """A split problem: layers in topological order, and the network's inputs (pseudo-layers, at the edge), which they read.

    Times are seconds, sizes (`inputs` by name) bytes, `bandwidth_bytes_per_s` the link from edge to server,
    `back_bytes_per_s` the one back, on which returned outputs come that the server made (None: that is free), `rtt_s` the
    fixed cost of one exchange, `place_names` what edge and server are called, `memory_limit_bytes` the M of the paper (None:
    no limit). `coding` is what a codec makes of the tensors that cross (None: they travel as they are). Source: section 3.2,
    equations (1) to (5).
    """

    SCHEMA: ClassVar[str] = "lmos.instance/1"
    SCHEMAS: ClassVar[tuple[str, ...]] = (SCHEMA, PlacesFile.SCHEMA)
    schema_: Literal["lmos.instance/1"] = Field("lmos.instance/1", alias="schema")
    name: Name
    inputs: Annotated[dict[Name, Count], Field(min_length=1)]
    place_names: tuple[Name, Name] = PLACES
    bandwidth_bytes_per_s: Rate
    back_bytes_per_s: Rate | None = None
    rtt_s: Amount
    memory_limit_bytes: Count | None
    power: Power | None = None
    coding: Coding | None = None
    layers: Annotated[tuple[InstanceLayer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_order([(layer.name, layer.inputs) for layer in self.layers], self.inputs)
        if self.coding is not None:
            check_names({"coding": self.coding.sent}, self.tensors)
        return self

    @classmethod
    def from_profile(
        cls,
        profile: NetworkProfile,
        *,
        edge: TimesLayers | str | os.PathLike[str] = "rpi4",
        server: TimesLayers | str | os.PathLike[str] = "paper-server",
        bandwidth: str | float = "10Mbps",
        rtt: str | float | None = None,
        memory: str | float | None = None,
        back: str | float | None = None,
        codec: SizesTensors | None = None,
    ) -> Instance:
        """The instance of a profiled network between two devices, each layer's time by its device's cost model.

        `edge` and `server` are devices, bundled names, device files, or `local`: the times that the profile measured on
        this machine. `bandwidth` is B/s or text such as `10Mbps`; `rtt` s or `20ms`, by default 0, or, where both sides are
        `local`, what the profile measured an exchange to cost here; `memory` B or `4GB`; `back` is the rate of the results'
        way back, as `bandwidth` (None: it is free). `codec`, from
        `measurement.codecs.get`, is what crossing tensors are sent with: see `coding_of`.
        Raises InputError for an unknown device, or where the profile lacks what a cost model, a codec or `back` goes by, as
        measured times.
        """
        at_edge, at_server = load_device(edge), load_device(server)
        if rtt is None:
            rtt = profile.exchange_s if isinstance(at_edge, LocalDevice) and isinstance(at_server, LocalDevice) else 0.0
        if back is not None and not any(layer.returned for layer in profile.layers):
            raise InputError("back", f"the profile of {profile.name} does not say which layers the network returns; make it again "
                                     "with lmos profile")  # fmt: skip
        layers = [
            {
                "name": layer.name,
                "inputs": layer.inputs,
                "t_edge_s": at_edge.layer_time_s(layer),
                "t_server_s": at_server.layer_time_s(layer),
                "weight_bytes": layer.weight_bytes,
                "output_bytes": layer.output_bytes,
                "returned": layer.returned,
                "macs": float(layer.macs),
            }
            for layer in profile.layers
        ]
        return cls._checked(
            {
                "name": profile.name,
                "inputs": {name: spec.bytes for name, spec in profile.input_tensors.items()},
                "bandwidth_bytes_per_s": parse_rate(bandwidth, "bandwidth"),
                "back_bytes_per_s": None if back is None else parse_rate(back, "back"),
                "rtt_s": parse_time(rtt, "rtt"),
                "memory_limit_bytes": None if memory is None else parse_size(memory, "memory"),
                "power": at_edge.power,
                "coding": None if codec is None else coding_of(profile, codec, at_edge, at_server),
                "layers": layers,
            },
            f"instance of {profile.name}",
        )

    def replace(self, **changes: Any) -> Instance:
        """A copy with other values for some fields, validated: `instance.replace(rtt_s=0.02)`."""
        if "input_bytes" in changes:
            changes["inputs"] = dict.fromkeys(self.inputs, changes.pop("input_bytes"))
        return Instance._checked({**super().to_dict(), **changes}, self.name)

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> Self:
        """Validate parsed JSON of a file with one input and two places (`lmos.instance/1`), or with places (`lmos.instance/2`)."""
        if not isinstance(data, dict):
            return super().from_dict(data, source)
        if data.get("schema") == PlacesFile.SCHEMA:
            return cls._checked(PlacesFile.from_dict(data, source or cls.__name__).of_two(), source or cls.__name__)
        foreign = [Problem(key, "is not a key of this schema") for key in ("inputs", "place_names") if key in data]
        rest = {key: value for key, value in data.items() if key not in ("input_bytes", "inputs", "place_names")}
        inputs = {"inputs": {INPUT: data["input_bytes"]}} if "input_bytes" in data else {}
        try:
            found = super().from_dict({**rest, **inputs}, source)
        except InputError as error:
            problems = [Problem(_SPELLED.get(p.path, p.path), p.message) for p in error.problems]
            raise InputError(source or cls.__name__, [*problems, *foreign]) from None
        if foreign:
            raise InputError(source or cls.__name__, foreign)
        return found

    @classmethod
    def _checked(cls, fields: dict[str, Any], source: str) -> Self:
        """An instance of these fields."""
        return super().from_dict({"schema": cls.SCHEMA, **fields}, source)

    def to_dict(self) -> dict[str, Any]:
        """The file's keys; the optional `back_bytes_per_s`, `power` and `coding` only where there is one.

        The file is `lmos.instance/1` where the only input is called `input`, else `lmos.instance/2`.
        """
        found = super().to_dict()
        if self.inputs.keys() != {INPUT} or self.place_names != PLACES:
            return as_places(found)
        for key in ("back_bytes_per_s", "power", "coding"):
            if found[key] is None:
                del found[key]
        del found["place_names"]
        return {key: value[INPUT] if key == "input_bytes" else value
                for key, value in ((_SPELLED.get(key, key), value) for key, value in found.items())}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The layers' names in topological order."""
        return tuple(layer.name for layer in self.layers)

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """What may cross: the inputs' names, then the layers'."""
        return (*self.inputs, *self.names)

    @property
    def input_bytes(self) -> int:
        """The bytes of the network's only input; InputError where it has several."""
        if len(self.inputs) > 1:
            raise InputError(self.name, f"has {len(self.inputs)} inputs, {', '.join(self.inputs)}; expected one")
        return next(iter(self.inputs.values()))

    @cached_property
    def holders(self) -> dict[str, tuple[str, ...]]:
        """For every input, the layers of which any makes the edge hold it under the memory model `sum`.

        They are the layers that read it; an only input is held wherever a layer runs at the edge, even one that reads nothing.
        """
        if len(self.inputs) == 1:
            return dict.fromkeys(self.inputs, self.names)
        return {name: self.consumers[name] for name in self.inputs}

    @cached_property
    def _by_name(self) -> dict[str, InstanceLayer]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> InstanceLayer:
        """The layer of that name; MissingError (a KeyError) where there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            raise MissingError(self.name, f"has no layer {name!r}{likely(name, self.names)}") from None

    def tensor_bytes(self, name: str) -> int:
        """`u[name]`: the bytes of an input, or of a layer's output."""
        return self.inputs[name] if name in self.inputs else self.layer(name).output_bytes

    def sent_bytes(self, name: str) -> int:
        """The bytes that take the way when an input or a layer's output crosses: `u[name]`, unless a codec changes that."""
        sent = self._sent.get(name)
        return self.tensor_bytes(name) if sent is None else sent.bytes

    def encode_s(self, name: str) -> float:
        """The time (s) at the edge of encoding what crosses; 0 where nothing is."""
        sent = self._sent.get(name)
        return 0.0 if sent is None else sent.encode_s

    def decode_s(self, name: str) -> float:
        """The time (s) at the server of decoding it."""
        sent = self._sent.get(name)
        return 0.0 if sent is None else sent.decode_s

    def back_s(self, name: str) -> float:
        """The time (s) that a layer's output takes back to the edge if the server makes it: 0 unless it is returned."""
        layer = self._by_name[name]
        return layer.output_bytes / self.back_bytes_per_s if layer.returned and self.back_bytes_per_s is not None else 0.0

    @cached_property
    def returned(self) -> frozenset[str]:
        """The layers whose output the network's result holds."""
        return frozenset(layer.name for layer in self.layers if layer.returned)

    @property
    def _sent(self) -> Mapping[str, Sent]:
        return {} if self.coding is None else self.coding.sent

    @cached_property
    def arcs(self) -> tuple[tuple[str, str], ...]:
        """Each arc (u, v) once, those from inputs included, in the order of v."""
        return tuple((u, layer.name) for layer in self.layers for u in dict.fromkeys(layer.inputs))

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """For every input and layer, the layers that read its output, in topological order."""
        found: dict[str, list[str]] = {name: [] for name in self.tensors}
        for u, v in self.arcs:
            found[u].append(v)
        return {name: tuple(readers) for name, readers in found.items()}

    @cached_property
    def is_chain(self) -> bool:
        """True if every layer reads just the one before it, and the first all inputs: then the edge sets are the L+1 prefixes."""
        before = [set(self.inputs), *({name} for name in self.names)]
        return all(set(layer.inputs) == before[k] for k, layer in enumerate(self.layers))

    def edge_set(self, edge_layers: Iterable[str]) -> frozenset[str]:
        """The layers as a set, checked: InputError for an unknown layer, or one whose input is not at the edge."""
        edge = frozenset(edge_layers)
        unknown = sorted(edge.difference(self.names))
        if unknown:
            raise InputError(self.name, f"has no layer {unknown[0]!r}{likely(unknown[0], self.names)}")
        for u, v in self.arcs:
            if v in edge and u not in self.inputs and u not in edge:
                raise InputError(self.name, f"layer {v!r} is at the edge, but its input {u!r} is not")
        return edge

    def crossing(self, edge: frozenset[str]) -> tuple[str, ...]:
        """The names whose output crosses to the server for a down-closed edge set: each once (`sent` = 1)."""
        return tuple(u for u in self.tensors
                     if (u in self.inputs or u in edge) and any(v not in edge for v in self.consumers[u]))
