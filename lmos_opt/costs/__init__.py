"""Cost models: from a layer's numbers to its time on a device. One file for each.

`costs/NAME.py` holds `MODEL`, a record of the model's numbers for one device; the file's name registers it. A device file names its
model and gives this record: `"cost": {"model": "NAME", ...}`. The models use only numbers: code that fits them to measured times is
in `measurement/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import ClassVar, Protocol

from lmos_opt.errors import InputError, InvalidError, Problem, expected
from lmos_opt.files import Name, Rate, Record, input_errors
from lmos_opt.imports import modules_of


class Work(Protocol):
    """The operations of one kind in a layer (`lmos_opt.profile.Work`)."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def operations(self) -> int: ...  # noqa: D102
    @property
    def macs(self) -> int: ...  # noqa: D102
    @property
    def bytes(self) -> int: ...  # noqa: D102


class Layer(Protocol):
    """The part of a layer that a model may use (`lmos_opt.profile.ProfileLayer`)."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def macs(self) -> int: ...  # noqa: D102
    @property
    def t_local_s(self) -> float | None: ...  # noqa: D102
    @property
    def work(self) -> Sequence[Work] | None: ...  # noqa: D102


class Processor(Protocol):
    """The part of a device that a model may use (`lmos_opt.device.Device`)."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def cores(self) -> int: ...  # noqa: D102
    @property
    def hz(self) -> float: ...  # noqa: D102
    @property
    def ops_per_cycle(self) -> float: ...  # noqa: D102
    @property
    def ops_per_cycle_by_kind(self) -> Mapping[str, float]: ...  # noqa: D102


class Rates(Record):
    """What micro-benchmarks measured of a device: multiply-accumulates a second of a large product, bytes a second of a copy."""

    macs_per_s: Rate
    bytes_per_s: Rate


class CostModel(Record):
    """Base of the models; a subclass is the record in a device file, and makes a layer's time of it.

    `LOCAL` is whether a layer's time on this machine is needed (`lmos profile --time`).
    """

    LOCAL: ClassVar[bool] = False
    model: Name

    def layer_time_s(self, layer: Layer, device: Processor) -> float:
        """Seconds of one layer; InputError if the layer lacks numbers that the model needs."""
        raise NotImplementedError


def names() -> list[str]:
    """The shipped models."""
    return list(modules_of(*__path__))


def get(name: str) -> type[CostModel]:
    """A model by its name; InputError lists the known names."""
    if name not in names():
        raise InputError("cost", f"{name!r} is not a cost model; there are {', '.join(names())}")
    found: type[CostModel] = import_module(f"{__name__}.{name}").MODEL
    return found


def parse(value: object) -> CostModel:
    """The `cost` of a device file; InvalidError with the paths of what is wrong inside it."""
    if isinstance(value, CostModel):
        return value
    if not isinstance(value, dict):
        raise InvalidError([Problem("", f"expected an object with the key 'model': one of {', '.join(names())}")])
    name = value.get("model")
    if not isinstance(name, str) or name not in names():
        raise InvalidError([Problem("model", f"got {name!r:.60}, {expected(names())}")])
    try:
        with input_errors("cost"):
            return get(name).model_validate(value)
    except InputError as error:
        raise InvalidError(error.problems) from None


def local_time_s(layer: Layer) -> float:
    """The layer's measured time (s); InputError if the profile has none."""
    if layer.t_local_s is None:
        raise InputError("local", f"layer {layer.name!r} has no measured time; make a profile with: "
                                  "lmos profile NETWORK --time -o profile.json")
    return layer.t_local_s


def work_of(layer: Layer, device: Processor) -> Sequence[Work]:
    """The layer's work, by kind; InputError if the profile does not have it."""
    if layer.work is None:
        raise InputError(device.name, f"nothing says what layer {layer.name!r} does by kind of operation, which this device's "
                                      "cost model goes by; make the profile again, with: lmos profile NETWORK -o profile.json")
    return layer.work


__all__ = ["CostModel", "Layer", "Processor", "Rates", "Work", "get", "local_time_s", "names", "parse", "work_of"]
