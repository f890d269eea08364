"""Devices as data: cores, clock, powers, and by which model a layer's time comes from such numbers, each with its source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BeforeValidator, Field, SerializeAsAny

from lmos_opt import costs
from lmos_opt.costs import CostModel, Layer, Rates
from lmos_opt.costs.paper import Paper
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


NO_POWER = ("the objective energy needs the edge device's powers (compute_w, transmit_w, idle_w), and there is no power data for "
            "this device; --power COMPUTE,TRANSMIT,IDLE gives them in watts, as in --power 6.4,5.1,2.7")  # fmt: skip
"""What is said where energy is asked for without them."""


def parse_power(text: str, what: str = "power") -> Power:
    """The powers of `COMPUTE,TRANSMIT,IDLE` in watts.

    >>> parse_power("6.4,5.1W,2.7")
    Power(compute_w=6.4, transmit_w=5.1, idle_w=2.7)
    """
    parts = [part.strip().removesuffix("W").strip() for part in text.split(",")]
    try:
        return Power.model_validate(dict(zip(Power.model_fields, map(float, parts), strict=True)))
    except ValueError:
        raise InputError(what, f"{text!r:.60} is not COMPUTE,TRANSMIT,IDLE in watts, such as 6.4,5.1,2.7") from None


class CodecTimes(Record):
    """What a codec costs, in seconds for each byte that a tensor has as it is."""

    encode_s_per_byte: Amount
    decode_s_per_byte: Amount


class Source(Record):
    """Where some of a file's numbers come from."""

    what: Text
    source: Text


class TimesLayers(Protocol):
    """What an instance needs of a device."""

    @property
    def power(self) -> Power | None:
        """Its powers, where known."""

    def layer_time_s(self, layer: Layer) -> float:
        """The time of one layer (s)."""


class Device(Document):
    """A computer that runs layers, each in the time that its cost model says: without one, `paper`'s.

    `ops_per_cycle_by_kind` overrides `ops_per_cycle` for operations of a kind (`linear`, `conv2d_depthwise`, ...) or
    layers of one. `memory_bytes` is what it has (for people; an instance's limit is given apart), `rates` what
    micro-benchmarks found of it, `codecs` the times of codecs by name, with its argument or without: those that are not there take
    no time.
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
    cost: Annotated[SerializeAsAny[CostModel], BeforeValidator(costs.parse)] | None = None
    rates: Rates | None = None
    codecs: dict[Name, CodecTimes] = Field(default_factory=dict)
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    def to_dict(self) -> dict[str, Any]:
        """The file's keys; the optional `cost`, `rates` and `codecs` only where there are such."""
        found = super().to_dict()
        for key in ("cost", "rates", "codecs"):
            if not found[key]:
                del found[key]
        return found

    @property
    def needs_local_times(self) -> bool:
        """Whether its times are made from those that a profile's layers took on this machine."""
        return self.cost is not None and self.cost.LOCAL

    def layer_time_s(self, layer: Layer) -> float:
        """Seconds of one layer on this device; InputError where the layer lacks what the cost model goes by."""
        return (self.cost or _PAPER).layer_time_s(layer, self)


_PAPER = Paper()


class LocalDevice:
    """This machine: the times that `lmos profile --time` put into the profile."""

    name = LOCAL
    power: Power | None = None
    needs_local_times = True

    def layer_time_s(self, layer: Layer) -> float:
        """The layer's measured time; InputError where the profile holds none."""
        return costs.local_time_s(layer)


def load_device(device: TimesLayers | str | os.PathLike[str]) -> TimesLayers:
    """The device that text names: a bundled one, a device file or `local`; a Device is returned unchanged."""
    if not isinstance(device, str | os.PathLike):
        return device
    if device == LOCAL:
        return LocalDevice()
    path = Path(device)
    is_file = path.suffix == ".json" or path.is_file()
    return Device.load(path if is_file else bundled("devices", str(device), "device"))


def needs_local_times_of(device: TimesLayers | str | os.PathLike[str]) -> bool:
    """Whether a device's times are made from those that layers took on this machine."""
    return bool(getattr(load_device(device), "needs_local_times", False))
