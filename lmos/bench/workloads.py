"""Workloads of the device-placement literature: one graph, to be shared out over any number of equal places."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lmos_opt.data import bundled, bundled_names
from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Amount, Count, Document, Name, Rate, Record, Text
from lmos_opt.graph import check_order
from lmos_opt.instance import Instance

KIND = "placement"
INPUT = "input"


class WorkloadLayer(Record):
    """A layer as an instance has it, with one time for any place (s)."""

    name: Name
    inputs: tuple[Name, ...]
    t_s: Amount
    weight_bytes: Count
    output_bytes: Count


class Workload(Document):
    """Layers in topological order, what moves their tensors (B/s), and the least loads that others found (s), by places."""

    SCHEMA: ClassVar[str] = "lmos.workload/1"
    schema_: Literal["lmos.workload/1"] = Field("lmos.workload/1", alias="schema")
    name: Name
    source: Text
    port_bytes_per_s: Rate
    together: tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...] = ()
    optimum_s: dict[Annotated[int, Field(ge=2)], Amount] = Field(default_factory=dict)
    layers: Annotated[tuple[WorkloadLayer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_order([(layer.name, layer.inputs) for layer in self.layers], (INPUT,))
        names = {layer.name for layer in self.layers}
        unknown = [Problem(f"together[{k}][{i}]", f"{name!r} names no layer")
                   for k, group in enumerate(self.together) for i, name in enumerate(group) if name not in names]
        if unknown:
            raise InvalidError(unknown)
        return self

    def instance(self, places: int) -> Instance:
        """The workload at so many equal places, without memory limits; hops have no part in the objective `load`."""
        return Instance.from_dict({
            "schema": "lmos.instance/2", "name": f"{self.name}, {places} places", "inputs": {INPUT: 0},
            "places": [{"name": f"place{p}", "memory_limit_bytes": None} for p in range(1, places + 1)],
            "hops": [{"bandwidth_bytes_per_s": self.port_bytes_per_s, "back_bytes_per_s": None, "rtt_s": 0.0}] * (places - 1),
            "port_bytes_per_s": self.port_bytes_per_s, "together": self.together,
            "layers": [{**layer.model_dump(), "t_s": [layer.t_s] * places} for layer in self.layers],
        }, self.name)  # fmt: skip


def find_workload(name: str) -> Workload:
    """A bundled workload by its name, or one from a file; InputError if there is none."""
    return Workload.load(name if Path(name).is_file() else bundled(KIND, name, "workload"))


def bundled_workloads() -> list[str]:
    """Their names."""
    return bundled_names(KIND)
