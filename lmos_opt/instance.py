"""`Instance`: one split problem in numbers: the layers' graph, times, bytes, the link, the edge's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, Unpack

from pydantic import Field, model_validator

from lmos_opt.codec_sizes import Choices, Coded, Coding, check_names, wrong_choices, wrong_ends
from lmos_opt.device import Power
from lmos_opt.encoding import ChoosesCodecs, choices_of, coding_of
from lmos_opt.errors import InputError, InvalidError, MissingError, Problem, likely
from lmos_opt.files import Count, Document, Name, Rate, input_errors
from lmos_opt.graph import check_order
from lmos_opt.paths import Path, TwoPlaces, parse_path
from lmos_opt.places import (
    Hop,
    InstanceLayer,
    Place,
    from_two,
    spelled_as_two,
    to_places,
    to_two,
    token_costs,
    with_changes,
    with_one,
)
from lmos_opt.profile import NetworkProfile, Tokens
from lmos_opt.scenarios.records import Scenarios, scaled, wrong_scenarios
from lmos_opt.units import counted


class Instance(Coded, Document):
    """A split problem: layers in topological order, the network's inputs, and the places along the path, with their hops.

    Times are seconds, sizes bytes. `inputs` are pseudo-layers at the first place: bytes by name. A place has a memory limit (None:
    no limit) and may have powers. Hop h joins place h to the next one (both are counted from 1 in names and formulas). Layers of a
    group in `together` run at one place. `port_bytes_per_s` is the rate at which the objective `load` moves tensors (None: they
    take no time). `coding` says what a codec makes of the crossing tensors (None: they are sent as they are). `codecs` has the
    allowed codecs of tensors whose codec is to be chosen, by the tensor's name. `scenarios` scale rates and times. `tokens` are the
    lengths of a decoder's texts: its layers' numbers are those of a prompt, and the numbers of one more token stand beside them
    (`of_token`).

    Two places are the paper's edge and server. Then their only hop's `bandwidth_bytes_per_s`, `back_bytes_per_s` and `rtt_s`, the
    edge's `memory_limit_bytes` and `power` and the `input_bytes` of an only input are attributes too, and may be given to
    `replace`. Source: section 3.2, equations (1) to (5).
    """

    SCHEMA: ClassVar[str] = "lmos.instance/1"
    SCHEMAS: ClassVar[tuple[str, ...]] = (SCHEMA, "lmos.instance/2")
    name: Name
    inputs: Annotated[dict[Name, Count], Field(min_length=1)]
    places: tuple[Place, ...]
    hops: tuple[Hop, ...]
    port_bytes_per_s: Rate | None = None
    together: tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...] = ()
    coding: Coding | None = None
    codecs: Choices = Field(default_factory=dict)
    scenarios: Scenarios = ()
    tokens: Tokens | None = None
    layers: Annotated[tuple[InstanceLayer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_order([(layer.name, layer.inputs) for layer in self.layers], self.inputs)
        check_names({"codecs": self.codecs}, self.tensors)
        if self.coding is not None:
            check_names({"coding.sent": self.coding.sent, "coding.codecs": self.coding.codecs}, self.tensors)
        if problems := [*self._wrong_places(), *self._wrong_layers(), *wrong_scenarios(self.scenarios, len(self.places)),
                           *wrong_choices(self.codecs, self.coding, len(self.places))]:  # fmt: skip
            raise InvalidError(problems)
        return self

    def _wrong_places(self) -> Iterator[Problem]:
        names = [place.name for place in self.places]
        for k, name in enumerate(names):
            if name in names[:k]:
                yield Problem(f"places[{k}].name", f"{name!r} is the name of an earlier place")
        if len(names) < 2:
            yield Problem("places", f"has {counted(len(names), 'place')}; expected two or more, in the order in which data flows")
        elif len(self.hops) != len(names) - 1:
            yield Problem("hops", f"has {counted(len(self.hops), 'hop')}; expected {len(names) - 1}, one between each place and "
                                  "the next")
        for name, sent in ({} if self.coding is None else self.coding.sent).items():
            yield from wrong_ends(f"coding.sent.{name}", sent, len(names))

    def _wrong_layers(self) -> Iterator[Problem]:
        for k, layer in enumerate(self.layers):
            if len(layer.t_s) != len(self.places):
                yield Problem(f"layers[{k}].t_s", f"has {counted(len(layer.t_s), 'time')}; expected {len(self.places)}, one for "
                                                  "each place")
            for key in ("t_edge_s", "t_server_s"):
                if key in layer.extra:
                    yield Problem(f"layers[{k}].{key}", "is not a key of this schema; times stand under t_s")
            if (self.tokens is None) != (layer.t_token_s is None) or (layer.t_token_s is None) != (layer.token_bytes is None):
                yield Problem(f"layers[{k}].t_token_s", "stands with token_bytes in each layer of an instance with tokens, "
                                                        "and in no other")  # fmt: skip
            if layer.t_token_s is not None and len(layer.t_token_s) != len(self.places):
                yield Problem(f"layers[{k}].t_token_s", f"has {counted(len(layer.t_token_s), 'time')}; expected {len(self.places)}")
            before = {one.name for one in self.layers[: k if layer.shared else 0]}
            for i, weights in enumerate(layer.shared):
                for name in [name for name in weights.layers if name not in before]:
                    yield Problem(f"layers[{k}].shared[{i}].layers", f"{name!r} is no layer before it")
        for k, group in enumerate(self.together):
            for i, name in enumerate(group):
                if name not in self._by_name:
                    yield Problem(f"together[{k}][{i}]", f"{name!r} names no layer")

    @classmethod
    def from_profile(
        cls,
        profile: NetworkProfile,
        *,
        path: Path | str | None = None,
        memory: str | float | None = None,
        codec: ChoosesCodecs | None = None,
        among: Sequence[ChoosesCodecs] | None = None,
        **two: Unpack[TwoPlaces],
    ) -> Instance:
        """The instance of a profiled network along a path of devices, with each layer's time by its device's cost model.

        `path` is text such as `rpi4 > 20Mbps,5ms > jetson-orin-nano-cpu > 1Gbps,1ms > i7-8700`, or a Path. Without it, `edge`
        (`rpi4`) and `server` (`paper-server`) are devices, bundled names, device files, or `local`: the times that the profile
        measured on this machine. `bandwidth` (`10Mbps`) is B/s or such text. `rtt` is s or `20ms`; by default it is 0, or, if both
        sides are `local`, the fixed cost of an exchange that the profile measured. `back` is the rate of the results' way back, as
        `bandwidth` (None: it is free). `memory`, B or `4GB`, is the first place's limit; `4GB,,1GB` are those of several
        (`Path.limits`). `codec`, from `measurement.codecs.get` or `measurement.codec_choice.chosen`, encodes the crossing tensors:
        see `coding_of`. `among`, instead of `codec`, are codecs of which the search chooses one for each tensor: see `choices_of`.
        Raises InputError for an unknown device, or if the profile lacks numbers that a cost model, a codec or a way back needs.
        """
        if not isinstance(profile, NetworkProfile):
            raise InputError("profile", f"got {profile!r:.60}; expected a NetworkProfile, as lmos_opt.sources.load_source returns")
        if codec is not None and among is not None:
            raise InputError("codec", "stands beside codecs to choose among; expected one of the two")
        if path is not None and two:
            raise InputError("path", f"says devices and hops; leave out {', '.join(two)}")
        path = Path.of_two(**two) if path is None else parse_path(path)
        if path.has_results() and not any(layer.returned for layer in profile.layers):
            raise InputError("back", f"the profile of {profile.name} does not say which layers the network returns; make it again "
                                     "with lmos profile")  # fmt: skip
        devices = path.loaded()
        limits = path.limits(profile, memory)
        places: list[dict[str, Any]] = [{"name": name, "memory_limit_bytes": limit}
                                        for name, limit in zip(path.names, limits, strict=True)]  # fmt: skip
        places[0]["power"] = devices[0].power
        fields = {
            "name": profile.name,
            "inputs": {name: spec.bytes for name, spec in profile.input_tensors.items()},
            "places": places,
            "hops": path.parsed_hops(profile.exchange_s),
            "coding": None if codec is None else coding_of(profile, codec, devices),
            "tokens": profile.tokens,
            "codecs": {} if among is None else choices_of(profile, among, devices),
            "together": profile.together,
            "layers": [
                {
                    "name": layer.name,
                    "inputs": layer.inputs,
                    "t_s": [device.layer_time_s(layer) for device in devices],
                    "weight_bytes": layer.weight_bytes,
                    "output_bytes": layer.output_bytes,
                    "returned": layer.returned,
                    "shared": layer.shared,
                    "macs": float(layer.macs),
                    **token_costs(profile.tokens, layer, devices),
                }
                for layer in profile.layers
            ],
        }
        return cls._checked(fields, f"instance of {profile.name}")

    def replace(self, **changes: Any) -> Instance:
        """A copy with other values for some fields, validated: `instance.replace(rtt_s=0.02)`."""
        with spelled_as_two(self.name, len(self.places) == 2):
            return Instance._checked(with_changes(super().to_dict(), changes), self.name)

    def with_place(self, p: int, **changes: Any) -> Instance:
        """A copy with other values of place p, counted from 1: `instance.with_place(2, memory_limit_bytes=8_000_000)`."""
        return self.replace(places=with_one(f"{self.name}: place", self.places, p, changes))

    def with_hop(self, h: int, **changes: Any) -> Instance:
        """A copy with other values of hop h, counted from 1: `instance.with_hop(2, bandwidth_bytes_per_s=1.25e6)`."""
        return self.replace(hops=with_one(f"{self.name}: hop", self.hops, h, changes))

    @classmethod
    def from_dict(cls, data: object, source: str | None = None) -> Self:
        """The instance of parsed JSON: with one input and two places (`lmos.instance/1`), or any number (`lmos.instance/2`).

        InputError, with `source` and the paths of wrong keys, if the JSON is not valid.
        """
        source = source or cls.__name__
        if not isinstance(data, dict) or data.get("schema") not in cls.SCHEMAS:
            return super().from_dict(data, source)  # which says why not
        fields = {key: value for key, value in data.items() if key != "schema"}
        if data["schema"] != cls.SCHEMA:
            return cls._checked(fields, source)
        fields, problems = from_two(fields)
        try:
            with spelled_as_two(source):
                found = cls._checked(fields, source)
        except InputError as error:
            raise InputError(source, [*error.problems, *problems]) from None
        if problems:
            raise InputError(source, problems)
        return found

    @classmethod
    def _checked(cls, fields: dict[str, Any], source: str) -> Self:
        """An instance of these fields."""
        with input_errors(source):
            return cls.model_validate(fields)

    def to_dict(self) -> dict[str, Any]:
        """The file's keys; optional ones only if they have a value.

        The file is `lmos.instance/1` if this format can hold everything: two places called `edge` and `server`, one input called
        `input`.
        """
        found = super().to_dict()
        two = to_two(found)
        return {"schema": self.SCHEMAS[1], **to_places(found)} if two is None else {"schema": self.SCHEMA, **two}

    @property
    def of_prompt(self) -> Instance:
        """The instance itself, whose numbers are those of a prompt; InputError if it has no tokens."""
        self._texts()
        return self

    def _texts(self) -> Tokens:
        if self.tokens is None:
            raise InputError(self.name, "says nothing of tokens; make it from a decoder's profile (lmos profile hf:DIRECTORY "
                                        "--prompt N --context M)")  # fmt: skip
        return self.tokens

    @cached_property
    def of_token(self) -> Instance:
        """The same layers at the same places for one more token of a text. InputError if the instance has no tokens, and if codecs
        encode the crossing tensors, because their effect on one token is not known."""
        prompt = self._texts().prompt
        if self.takes_coding:
            raise InputError(self.name, "has codecs, and what they make of one token is not known; leave them out")
        layers = [{**layer.model_dump(), "t_s": layer.t_token_s, "output_bytes": layer.token_bytes, "t_token_s": None,
                   "token_bytes": None} for layer in self.layers]  # fmt: skip
        fields = {**super().to_dict(), "layers": layers, "tokens": None,
                  "inputs": {name: n_bytes // prompt for name, n_bytes in self.inputs.items()}}  # fmt: skip
        return Instance._checked(fields, self.name)

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """The rate (B/s) of the only hop; this and the next two raise InputError if there are several hops."""
        return self._only_hop.bandwidth_bytes_per_s

    @property
    def back_bytes_per_s(self) -> float | None:
        """The rate (B/s) of the only hop's way back; None: it is free."""
        return self._only_hop.back_bytes_per_s

    @property
    def rtt_s(self) -> float:
        """The fixed cost (s) of an exchange over the only hop."""
        return self._only_hop.rtt_s

    @property
    def memory_limit_bytes(self) -> int | None:
        """The first place's memory limit (B)."""
        return self.places[0].memory_limit_bytes

    @property
    def power(self) -> Power | None:
        """The powers of the first place."""
        return self.places[0].power

    def check_two(self, what: str) -> None:
        """InputError if there are more than two places, which `what` does not support."""
        if len(self.places) > 2:
            raise InputError(self.name, f"has {len(self.places)} places; {what} for two places only")

    @property
    def _only_hop(self) -> Hop:
        self.check_two("a bandwidth and an exchange's cost are attributes")
        return self.hops[0]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The layers' names in topological order."""
        return tuple(layer.name for layer in self.layers)

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that may cross: the inputs' names, then the layers'."""
        return (*self.inputs, *self.names)

    @property
    def input_bytes(self) -> int:
        """The bytes of the network's only input; InputError if it has several."""
        if len(self.inputs) > 1:
            raise InputError(self.name, f"has {len(self.inputs)} inputs, {', '.join(self.inputs)}; expected one")
        return next(iter(self.inputs.values()))

    @cached_property
    def holders(self) -> dict[str, tuple[str, ...]]:
        """For every input, the layers that make the edge hold it under the memory model `sum`, if one of them runs there.

        They are the layers that read it. An only input is held if any layer runs at the edge, even one that reads nothing.
        """
        if len(self.inputs) == 1:
            return dict.fromkeys(self.inputs, self.names)
        return {name: self.consumers[name] for name in self.inputs}

    @cached_property
    def _by_name(self) -> dict[str, InstanceLayer]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> InstanceLayer:
        """The layer of that name; MissingError (a KeyError) if there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            raise MissingError(self.name, f"has no layer {name!r}{likely(name, self.names)}") from None

    def tensor_bytes(self, name: str) -> int:
        """`u[name]`: the bytes of an input, or of a layer's output."""
        return self.inputs[name] if name in self.inputs else self.layer(name).output_bytes

    def back_s(self, name: str, hop: int = 1) -> float:
        """The time (s) that a layer's output takes back over a hop if it is made beyond the hop: 0 unless it is returned."""
        layer, rate = self._by_name[name], self.hops[hop - 1].back_bytes_per_s
        return layer.output_bytes / rate if layer.returned and rate is not None else 0.0

    @cached_property
    def in_scenarios(self) -> tuple[Instance, ...]:
        """The instance in each of its scenarios. InputError if a bandwidth or a time is outside the range of an instance."""
        fields = super().to_dict()
        return tuple(Instance._checked(scaled(fields, self.hops, one), f"{self.name}: scenarios[{k}]")
                     for k, one in enumerate(self.scenarios))

    @cached_property
    def returned(self) -> frozenset[str]:
        """The layers whose output belongs to the network's result."""
        return frozenset(layer.name for layer in self.layers if layer.returned)

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

    @cached_property
    def groups(self) -> tuple[frozenset[str], ...]:
        """The groups of `together` that must stay at one place; groups with a layer in common are one."""
        found: list[frozenset[str]] = []
        for group in map(frozenset, self.together):
            apart = [other for other in found if not other & group]
            found = [*apart, group.union(*(other for other in found if other & group))]
        return tuple(found)

    def keeps_together(self, edge: frozenset[str]) -> bool:
        """Whether an edge set divides none of the groups of `together`."""
        return all(group <= edge or not group & edge for group in self.groups)

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
        """The names whose output crosses to the server for a down-closed edge set, each once (`sent` = 1).

        Over hop h of several, the set is that of the layers up to place h, `upto` of this hop.
        """
        return tuple(u for u in self.tensors
                     if (u in self.inputs or u in edge) and any(v not in edge for v in self.consumers[u]))
