"""Devices as data: cores, clock, operations per cycle and powers, each number with its source.

The paper's cost of a layer is X / (C * S), equations (1) and (3): work over cores times clock. `ops_per_cycle` turns
cycles into multiply-accumulates; 1 is the paper read literally.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from lmos_opt.data import bundled
from lmos_opt.errors import InputError
from lmos_opt.files import Amount, Count, Document, Name, Rate, Record, Text

LOCAL = "local"
"""The device whose times are those measured on this machine."""


class Power(Record):
    """What a device draws while it computes, sends, and waits (W)."""

    compute_w: Amount
    transmit_w: Amount
    idle_w: Amount


class Source(Record):
    """Where some of a file's numbers come from."""

    what: Text
    source: Text


class _Layer(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def macs(self) -> int: ...
    @property
    def t_local_s(self) -> float | None: ...


class TimesLayers(Protocol):
    """What an instance needs of a device."""

    @property
    def power(self) -> Power | None:
        """Its powers, where known."""

    def layer_time_s(self, layer: _Layer) -> float:
        """The time of one layer (s)."""


class Device(Document):
    """A computer that runs layers: `t = macs / (cores * hz * ops_per_cycle)`.

    `ops_per_cycle_by_kind` overrides `ops_per_cycle` for layers of a kind (`linear`, `conv2d`, ...).
    `memory_bytes` is what it has (for people; an instance's limit is given apart).
    """

    SCHEMA: ClassVar[str] = "lmos.device/1"
    schema_: Literal["lmos.device/1"] = Field("lmos.device/1", alias="schema")
    name: Name
    description: Text
    cores: Annotated[Count, Field(ge=1)]
    hz: Rate
    ops_per_cycle: Rate
    ops_per_cycle_by_kind: dict[Name, Rate] = Field(default_factory=dict)
    memory_bytes: Count | None
    power: Power | None = None
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    def layer_time_s(self, layer: _Layer) -> float:
        """Seconds of one layer on this device, equations (1) and (3)."""
        rate = self.ops_per_cycle_by_kind.get(layer.kind, self.ops_per_cycle)
        return layer.macs / (self.cores * self.hz * rate)


class LocalDevice:
    """This machine: the times that `lmos profile --time` put into the profile."""

    name = LOCAL
    power: Power | None = None

    def layer_time_s(self, layer: _Layer) -> float:
        """The layer's measured time; InputError where the profile holds none."""
        if layer.t_local_s is None:
            raise InputError(LOCAL, f"layer {layer.name!r} has no measured time; make a profile with: "
                                    "lmos profile NETWORK --time -o profile.json")
        return layer.t_local_s


def load_device(device: TimesLayers | str | os.PathLike[str]) -> TimesLayers:
    """A device as it is, by bundled name, from a file, or `local`."""
    if not isinstance(device, str | os.PathLike):
        return device
    if device == LOCAL:
        return LocalDevice()
    path = Path(device)
    is_file = path.suffix == ".json" or path.is_file()
    return Device.load(path if is_file else bundled("devices", str(device), "device"))
