"""Layers, places along a path, the hops between them, and two places' shorter spelling, `edge` and `server` (`lmos.instance/1`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from lmos_opt.device import Power, TimesLayers
from lmos_opt.errors import InputError, InvalidError, MissingError, Problem
from lmos_opt.files import FROM_FILE, Amount, Count, Flag, Name, Number, Rate, Record, problems_of
from lmos_opt.graph import INPUT
from lmos_opt.profile import ProfileLayer, Shared, Tokens, Work
from lmos_opt.units import one_to, parse_size

EDGE, SERVER = "edge", "server"
"""The names of two places if a file gives none."""
OF_PLACES = ("inputs", "places", "hops", "together", "port_bytes_per_s", "scenarios", "codecs", "tokens")
"""Keys that the shorter spelling does not have."""
_HOP = ("bandwidth_bytes_per_s", "back_bytes_per_s", "rtt_s")
_FIRST = ("memory_limit_bytes", "power")
_TIMES = ("t_edge_s", "t_server_s")
Found = TypeVar("Found")


class Place(Record):
    """A place where layers may run: its memory limit (B; None: no limit), and its powers."""

    name: Name
    memory_limit_bytes: Count | None
    power: Power | None = None


class Hop(Record):
    """The link from a place to the next, and the way back (None: it is free); `rtt_s` is the fixed cost of one exchange."""

    bandwidth_bytes_per_s: Rate
    back_bytes_per_s: Rate | None = None
    rtt_s: Amount


class Extra(dict[str, float]):
    """A layer's further numbers by key; MissingError, which names the layer, for one that it does not have."""

    def __init__(self, layer: str, numbers: Mapping[str, float]) -> None:
        super().__init__(numbers)
        self._layer = layer

    def __missing__(self, key: str) -> float:
        known = f"it has {', '.join(map(repr, self))}" if self else "it has none"
        raise MissingError(f"layer {self._layer}", f"has no number {key!r} of its own; {known}")


class InstanceLayer(Record):
    """One layer: its time at each place (s), its weights and its output tensor (B), and whether the network's result holds it.

    `shared` are weights that it shares with earlier layers, which count them (`Shared`): a place that runs this layer and none of
    the earlier ones holds them too. A decoder's layer keeps `state_bytes` of a text from call to call. For
    one more token it takes `t_token_s` at each place and sends `token_bytes` to the next layer. While a layer runs, it needs
    `workspace_bytes` beside all of these. Further numbers under any other key (an energy, a price) are kept in `extra`, for
    objectives that users add.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, Number] = Field(init=False)

    name: Name
    inputs: tuple[Name, ...]
    t_s: tuple[Amount, ...]
    weight_bytes: Count
    output_bytes: Count
    returned: Flag = False
    shared: tuple[Shared, ...] = ()
    state_bytes: Count = 0
    workspace_bytes: Count = 0
    t_token_s: tuple[Amount, ...] | None = None
    token_bytes: Count | None = None

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialise(self)
        for key, usual in (("returned", False), ("shared", ()), ("state_bytes", 0), ("workspace_bytes", 0), ("t_token_s", None),
                           ("token_bytes", None)):  # fmt: skip
            if getattr(self, key) == usual:
                found.pop(key, None)
        return found

    @property
    def held_bytes(self) -> int:
        """The bytes of it that a place holds from call to call: weights and state."""
        return self.weight_bytes + self.state_bytes

    @property
    def t_edge_s(self) -> float:
        """The time (s) at the first place."""
        return self.t_s[0]

    @property
    def t_server_s(self) -> float:
        """The time (s) at the second of two places; InputError if there are more."""
        if len(self.t_s) > 2:
            raise InputError(f"layer {self.name}", f"has {len(self.t_s)} times; t_server_s is one of two")
        return self.t_s[-1]

    @cached_property
    def extra(self) -> Extra:
        """The layer's further numbers by key."""
        return Extra(self.name, self.__pydantic_extra__)


@dataclass(frozen=True)
class _OneToken:
    """A decoder's layer as a cost model looks at it, for one more token."""

    name: str
    kind: str
    macs: int
    t_local_s: float | None
    work: Sequence[Work] | None


def token_costs(tokens: Tokens | None, layer: ProfileLayer, devices: Sequence[TimesLayers]) -> dict[str, Any]:
    """The keys of an instance's layer for a decoder: times and bytes of one more token, state, and workspace.

    Empty for other networks. The workspace is the larger one of the prompt and of one more token.
    """
    if tokens is None or (step := layer.token) is None:
        return {}
    one = _OneToken(layer.name, layer.kind, step.macs, step.t_local_s, step.work)
    return {"t_token_s": [device.layer_time_s(one) for device in devices], "token_bytes": step.output_bytes,
            "state_bytes": layer.state_bytes(tokens.context),
            "workspace_bytes": max(layer.workspace_bytes, step.workspace_bytes)}  # fmt: skip


class Counted:
    """Numbers of layers at each place, for records with `edge_layers`, `n_layers` and `later_layers`.

    It has only properties, because the fields of a record decide the order of keys in its file.
    """

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of layers at each place: x1, x2, and so on; empty if there is no split."""
        record: Any = self
        n_edge = len(record.edge_layers or ())
        if record.later_layers is not None:
            return (n_edge, *map(len, record.later_layers))
        return () if record.n_layers is None else (n_edge, record.n_layers - n_edge)

    @property
    def x1(self) -> int | None:
        """The number of layers at the first place; None if there is no split."""
        return self.counts[0] if self.counts else None

    @property
    def x2(self) -> int | None:
        """The number of layers at the second place; None if there is no split."""
        return self.counts[1] if self.counts else None


class _Counts(Record):
    x1: Count | None = None
    x2: Count | None = None


_COUNTS = tuple(_Counts.model_fields)


def from_counts(data: Any, read: Callable[[Any], Found], context: object) -> Found:
    """The record that `read` makes of a split's keys, in which `n_layers`, the sum, replaces `x1` and `x2`.

    A file of two places names the layers of the first place, and has only the number of the others. Raises InvalidError if `x1`
    is not the number of `edge_layers`, or if a file lacks one of the two.
    """
    is_file = context == FROM_FILE
    if not isinstance(data, dict) or not (is_file or "x1" in data or "x2" in data):
        return read(data)
    problems = [Problem("n_layers", "is not a key of this schema")] if is_file and "n_layers" in data else []
    keys = {key: value for key, value in data.items() if key not in (*_COUNTS, "n_layers")}
    counts = {key: data[key] for key in _COUNTS if key in data}
    try:
        found = _Counts.model_validate(counts)
    except ValidationError as error:
        found, counts = _Counts(), {}
        problems += problems_of(error)
    else:
        problems += _missing_or_wrong(found, counts, keys.get("edge_layers"))
    if len(counts) == len(_COUNTS):
        keys["n_layers"] = None if found.x1 is None or found.x2 is None else found.x1 + found.x2
    try:
        record = read(keys)
    except ValidationError as error:
        rest = [one for one in problems_of(error) if one.path != "n_layers"]
        raise InvalidError([*rest, *(problems or [Problem(key, "is missing") for key in _COUNTS if key not in counts])]) from None
    if problems:
        raise InvalidError(problems)
    return record


def _missing_or_wrong(found: _Counts, given: Mapping[str, Any], edge_layers: object) -> Iterator[Problem]:
    if edge_layers is not None or found != _Counts():
        yield from (Problem(key, "is missing") for key in _COUNTS if given.get(key) is None)
    if isinstance(edge_layers, list | tuple) and found.x1 not in (None, len(edge_layers)):
        yield Problem("x1", f"got {found.x1}, but edge_layers are {len(edge_layers)}")


def with_counts(found: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a file from those of a split: `x1` and `x2` replace `n_layers`."""
    n_edge, n_layers = len(found["edge_layers"] or ()), found["n_layers"]
    counts = {"x1": None, "x2": None} if n_layers is None else {"x1": n_edge, "x2": n_layers - n_edge}
    return {short: number for key, value in found.items()
            for short, number in (counts.items() if key == "n_layers" else [(key, value)])}  # fmt: skip


def from_two(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The keys of an instance from those of a file of two places, and the problems of the file's keys."""
    problems = [Problem(key, "is not a key of this schema") for key in OF_PLACES if key in data]
    problems += [Problem(f"layers[{k}].{key}", "is missing") for k, layer in _layers(data) for key in _TIMES if key not in layer]
    problems += [Problem(f"layers[{k}].t_s", "is not a key of this schema") for k, layer in _layers(data) if "t_s" in layer]
    short = {"input_bytes", *_HOP, *_FIRST, *OF_PLACES}
    found = {key: value for key, value in data.items() if key not in short}
    if "input_bytes" in data:
        found["inputs"] = {INPUT: data["input_bytes"]}
    found["places"] = [{"name": EDGE, **{key: data[key] for key in _FIRST if key in data}},
                       {"name": SERVER, "memory_limit_bytes": None}]  # fmt: skip
    found["hops"] = [{key: data[key] for key in _HOP if key in data}]
    if isinstance(data.get("layers"), Sequence) and not isinstance(data["layers"], str):
        found["layers"] = [with_times(layer, [0.0, 0.0]) for layer in data["layers"]]
    return found, problems


def with_times(layer: Any, known: Sequence[float]) -> Any:
    """A layer as an instance has it for one with `t_edge_s` or `t_server_s`: the other times are those known."""
    if not isinstance(layer, Mapping) or not any(key in layer for key in _TIMES):
        return layer
    times = [layer.get("t_edge_s", known[0]), *known[1:-1], layer.get("t_server_s", known[-1])]
    found: dict[str, Any] = {}
    for key, value in layer.items():
        if key in ("t_s", *_TIMES):
            found.setdefault("t_s", times)
        else:
            found[key] = value
    return found


def with_changes(found: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of an instance with some changed, where those of two places stand for their first place's and only hop's."""
    changed = {**found, **{key: value for key, value in changes.items() if key not in ("input_bytes", *_HOP, *_FIRST)}}
    if "input_bytes" in changes:
        changed["inputs"] = dict.fromkeys(found["inputs"], changes["input_bytes"])
    place = {key: changes[key] for key in _FIRST if key in changes}
    hop = {key: changes[key] for key in _HOP if key in changes}
    if place:
        changed["places"] = [{**changed["places"][0], **place}, *changed["places"][1:]]
    if hop:
        changed["hops"] = [{**changed["hops"][0], **hop}, *changed["hops"][1:]]
    if "layers" in changes:
        times = {layer["name"]: layer["t_s"] for layer in found["layers"]}
        zero = [0.0] * len(found["places"])
        changed["layers"] = [with_times(layer, layer.get("t_s") or times.get(layer.get("name"), zero))
                             if isinstance(layer, Mapping) else layer for layer in changes["layers"]]  # fmt: skip
    return changed


def memory_limits(memory: str | float | None, limits: Sequence[int | None]) -> list[int | None]:
    """The memory limits of places (B) with those that `memory` names in their place: `4GB` of the first one, `4GB,,1GB` of two.

    >>> memory_limits("1kB,,2kB", [5, 6, 7])
    [1000, 6, 2000]

    Raises InputError for what is no size, for text between commas that names none, and for more sizes than there are places.
    """
    if memory is None:
        return [*limits]
    asked = memory.split(",") if isinstance(memory, str) and "," in memory else [memory]
    if len(asked) > len(limits):
        raise InputError("memory", f"{memory!r:.80} has {len(asked)} sizes, but there are {len(limits)} places")
    new = [None if isinstance(one, str) and not one.strip() and len(asked) > 1 else parse_size(one, "memory") for one in asked]
    if new == [None] * len(new):
        raise InputError("memory", f"{memory!r:.80} names no size; leave it out where no limit is another")
    return [limits[p] if p >= len(new) or new[p] is None else new[p] for p in range(len(limits))]


def with_one(what: str, those: Sequence[Place] | Sequence[Hop], number: int, changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Places or hops as keys, with changes to the one with this number (from 1). InputError if there is no such one."""
    found = [one.model_dump() for one in those]
    if not 1 <= number <= len(found):
        raise InputError(what, f"got {number}, expected {one_to(len(found))}")
    found[number - 1] |= changes
    return found


def path_in_two(path: str) -> str:
    """The path, in a file of two places, of a key that has this path in an instance."""
    for pattern, short in ((r"inputs(\.input)?", "input_bytes"), (r"hops\[0\]\.(.+)", r"\1"), (r"places\[0\]\.(.+)", r"\1"),
                           (r"(layers\[\d+\])\.t_s\[0\]", r"\1.t_edge_s"), (r"(layers\[\d+\])\.t_s\[1\]", r"\1.t_server_s")):
        if re.fullmatch(pattern, path):
            return re.sub(f"^{pattern}$", short, path)
    return path


@contextmanager
def spelled_as_two(source: str, is_two: bool = True) -> Iterator[None]:
    """Inside the block, problems of an instance get the paths that they have in a file of two places."""
    try:
        yield
    except InputError as error:
        if not is_two:
            raise
        raise InputError(source, [Problem(path_in_two(p.path), p.message) for p in error.problems]) from None


def to_two(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keys of a file of two places from those of an instance; None if such a file has no key for a part of the instance."""
    places = found["places"]
    if (found["inputs"].keys() != {INPUT} or any(found[key] for key in ("together", "scenarios", "codecs"))
            or found["port_bytes_per_s"] is not None or found["tokens"] is not None
            or [place["name"] for place in places] != [EDGE, SERVER]
            or any(places[1][key] is not None for key in _FIRST)):  # fmt: skip
        return None
    (hop,), first = found["hops"], places[0]
    optional = {"power": first["power"], "coding": found["coding"]}
    back = {} if hop["back_bytes_per_s"] is None else {"back_bytes_per_s": hop["back_bytes_per_s"]}
    layers = [{short: time for key, value in layer.items()
               for short, time in (zip(_TIMES, value, strict=True) if key == "t_s" else [(key, value)])}
              for layer in found["layers"]]  # fmt: skip
    return {"name": found["name"], "input_bytes": found["inputs"][INPUT],
            "bandwidth_bytes_per_s": hop["bandwidth_bytes_per_s"], **back, "rtt_s": hop["rtt_s"],
            "memory_limit_bytes": first["memory_limit_bytes"],
            **{key: value for key, value in optional.items() if value is not None}, "layers": layers}  # fmt: skip


def to_places(found: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a file of places from those of an instance, without optional keys that are empty."""
    places = [{key: value for key, value in place.items() if key != "power" or value is not None} for place in found["places"]]
    return {key: value for key, value in {**found, "places": places}.items()
            if not (key in ("port_bytes_per_s", "together", "coding", "scenarios", "codecs", "tokens") and not value)}


def from_placed(data: Any, read: Callable[[Any], Found], context: object) -> Found:
    """The record that `read` makes of a split's keys, as `from_counts` does, or for more than two places with `later_layers`.

    A file of more than two places has the key `places`, and counts `x1` to `xK`. Raises InvalidError if a count is not the number
    of layers of its place.
    """
    if not isinstance(data, Mapping) or not isinstance(places := data.get("places"), list | tuple) or len(places) < 3:
        has_fields = isinstance(data, Mapping) and "later_layers" in data
        if has_fields and context == FROM_FILE:
            raise InvalidError([Problem("later_layers", "is not a key of this schema")])
        return read(data) if has_fields else from_counts(data, read, context)
    counts = {f"x{p}": len(place) if isinstance(place, list | tuple) else 0 for p, place in enumerate(places, 1)}
    problems = [Problem(key, f"got {data[key]!r:.60}, but the place has {counts[key]}")
                for key in counts if key in data and data[key] != counts[key]]
    if "edge_layers" in data and _listed(data["edge_layers"]) != _listed(places[0]):
        problems.append(Problem("edge_layers", "are not the first of places"))
    if problems:
        raise InvalidError(problems)
    rest = {key: value for key, value in data.items() if key not in counts and key not in ("places", "edge_layers")}
    return read({**rest, "edge_layers": places[0], "n_layers": None, "later_layers": places[1:]})


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def to_placed(found: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a file from those of a split: `x1` and `x2`; for more than two places all counts and `places`."""
    keys = with_counts(found)
    later = keys.pop("later_layers", None)
    if later is not None:
        places = [keys["edge_layers"], *later]
        keys |= {f"x{p}": len(place) for p, place in enumerate(places, 1)} | {"places": places}
    return keys


def _layers(data: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    layers = data.get("layers")
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str)
    return [(k, layer) for k, layer in enumerate(layers or ()) if isinstance(layer, Mapping)] if is_list else []
