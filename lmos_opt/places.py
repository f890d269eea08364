"""The file of an instance with places along a path (`lmos.instance/2`): what it holds, and how two places of it are told."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from lmos_opt.codec_sizes import Coding
from lmos_opt.device import Power
from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Amount, Count, Document, Flag, Name, Number, Rate, Record


class Place(Record):
    """Where layers may run: its memory limit (B; None: no limit), and what it draws."""

    name: Name
    memory_limit_bytes: Count | None = None
    power: Power | None = None


class Hop(Record):
    """The way from a place to the next, and back (None: that is free); `rtt_s` is the fixed cost of one exchange."""

    bandwidth_bytes_per_s: Rate
    back_bytes_per_s: Rate | None = None
    rtt_s: Amount


class PlacedLayer(Record):
    """One layer: its time (s) at each place, its weights and its output tensor (B), and whether the network's result holds it."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, Number] = Field(init=False)

    name: Name
    inputs: tuple[Name, ...]
    t_s: tuple[Amount, ...]
    weight_bytes: Count
    output_bytes: Count
    returned: Flag = False


class PlacesFile(Document):
    """The content of a `lmos.instance/2` file."""

    SCHEMA: ClassVar[str] = "lmos.instance/2"
    schema_: Literal["lmos.instance/2"] = Field("lmos.instance/2", alias="schema")
    name: Name
    inputs: Annotated[dict[Name, Count], Field(min_length=1)]
    places: Annotated[tuple[Place, ...], Field(min_length=2)]
    hops: tuple[Hop, ...]
    coding: Coding | None = None
    layers: Annotated[tuple[PlacedLayer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n = len(self.places)
        problems = [Problem(f"places[{k}].name", f"{place.name!r} is the name of an earlier place")
                    for k, place in enumerate(self.places) if place.name in [other.name for other in self.places[:k]]]
        if len(self.hops) != n - 1:
            problems.append(Problem("hops", f"are {len(self.hops)}; expected {n - 1}, one between each place and the next"))
        problems += [Problem(f"layers[{k}].t_s", f"has {len(layer.t_s)} times; expected {n}, one a place")
                     for k, layer in enumerate(self.layers) if len(layer.t_s) != n]
        if n > 2:
            problems.append(Problem("places", f"are {n}; expected two"))
        if n == 2 and self.places[1].memory_limit_bytes is not None:
            problems.append(Problem("places[1].memory_limit_bytes", "expected null: the last place has no limit"))
        if n == 2 and self.places[1].power is not None:
            problems.append(Problem("places[1].power", "expected none: energy is that of the first place"))
        if problems:
            raise InvalidError(problems)
        return self

    def of_two(self) -> dict[str, Any]:
        """What an Instance holds of a file of two places."""
        (edge, _), (hop,) = self.places, self.hops
        layers = []
        for layer in self.layers:
            found = layer.model_dump()
            found["t_edge_s"], found["t_server_s"] = found.pop("t_s")
            layers.append(found)
        return {"name": self.name, "inputs": self.inputs, "place_names": tuple(place.name for place in self.places),
                **hop.model_dump(), "memory_limit_bytes": edge.memory_limit_bytes,
                "power": None if edge.power is None else edge.power.model_dump(),
                "coding": None if self.coding is None else self.coding.model_dump(), "layers": layers}  # fmt: skip


def as_places(found: dict[str, Any]) -> dict[str, Any]:
    """The keys of a `lmos.instance/2` file for what an Instance holds; optional ones only where there is something."""
    names = found["place_names"]
    hop = {key: found[key] for key in ("bandwidth_bytes_per_s", "back_bytes_per_s", "rtt_s")}
    places = [{"name": names[0], "memory_limit_bytes": found["memory_limit_bytes"]}, {"name": names[1], "memory_limit_bytes": None}]
    if found["power"] is not None:
        places[0]["power"] = found["power"]
    layers = []
    for layer in found["layers"]:
        times = {"t_s": [layer["t_edge_s"], layer["t_server_s"]]}
        layers.append({key: value for name, one in layer.items() if name != "t_server_s"
                       for key, value in (times if name == "t_edge_s" else {name: one}).items()})
    coding = {} if found["coding"] is None else {"coding": found["coding"]}
    return {"schema": PlacesFile.SCHEMA, "name": found["name"], "inputs": found["inputs"], "places": places, "hops": [hop],
            **coding, "layers": layers}  # fmt: skip
