"""Devices as data: cores, clock, powers, the cost model that makes a layer's time of such numbers, and the source of each number.
"""

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
    """The power of a device while it computes, sends, and waits (W)."""

    compute_w: Amount
    transmit_w: Amount
    idle_w: Amount


NO_POWER = ("the objective energy needs the edge device's powers (compute_w, transmit_w, idle_w), and there is no power data for "
            "this device; --power COMPUTE,TRANSMIT,IDLE gives them in watts, as in --power 6.4,5.1,2.7")  # fmt: skip
"""The reason if energy is asked for and the powers are not known."""


def parse_power(text: str, what: str = "power") -> Power:
    """The powers (W) of text such as `COMPUTE,TRANSMIT,IDLE`. InputError, about `what`, for any other text.

    >>> parse_power("6.4,5.1W,2.7")
    Power(compute_w=6.4, transmit_w=5.1, idle_w=2.7)
    """
    parts = [part.strip().removesuffix("W").strip() for part in text.split(",")]
    try:
        return Power.model_validate(dict(zip(Power.model_fields, map(float, parts), strict=True)))
    except ValueError:
        raise InputError(what, f"{text!r:.60} is not COMPUTE,TRANSMIT,IDLE in watts, such as 6.4,5.1,2.7") from None


class CodecTimes(Record):
    """The time of a codec, in seconds for each byte of the tensor before encoding."""

    encode_s_per_byte: Amount
    decode_s_per_byte: Amount


class Source(Record):
    """The source of some of a file's numbers."""

    what: Text
    source: Text


class TimesLayers(Protocol):
    """What an instance needs of a device."""

    @property
    def power(self) -> Power | None:
        """Its powers, if they are known."""

    def layer_time_s(self, layer: Layer) -> float:
        """The time of one layer (s)."""


class Device(Document):
    """A machine as numbers. Its cost model (`cost`; `paper` if the file has none) gives the time (s) of a layer.

    `hz` is the clock rate of each of the `cores`, `ops_per_cycle` the number of multiply-accumulates of a core in a clock cycle.
    `ops_per_cycle_by_kind` replaces `ops_per_cycle` for operations or layers of some kinds (`linear`, `conv2d_depthwise`, ...).
    `memory_bytes` is the device's memory, for people only; an instance has a limit of its own. `power` has the powers (W) while it
    computes, sends and waits. `rates` are the results of micro-benchmarks. `codecs` has the times of codecs by name, with or
    without the argument; a codec that it lacks takes no time. `sources` says where each number is from.
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
        """The file's keys; the optional `cost`, `rates` and `codecs` only if the device has them."""
        found = super().to_dict()
        for key in ("cost", "rates", "codecs"):
            if not found[key]:
                del found[key]
        return found

    @property
    def needs_local_times(self) -> bool:
        """Whether its times are made from the times of a profile's layers on this machine."""
        return self.cost is not None and self.cost.LOCAL

    def layer_time_s(self, layer: Layer) -> float:
        """Seconds of one layer on this device; InputError if the layer lacks numbers that the cost model needs."""
        return (self.cost or _PAPER).layer_time_s(layer, self)


_PAPER = Paper()


class LocalDevice:
    """This machine: the times that `lmos profile --time` put into the profile."""

    name = LOCAL
    power: Power | None = None
    needs_local_times = True

    def layer_time_s(self, layer: Layer) -> float:
        """The layer's measured time; InputError if the profile has none."""
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
    """Whether a device's times are made from the times of layers on this machine."""
    return bool(getattr(load_device(device), "needs_local_times", False))
