"""A path of devices and the hops between them, as a user writes it: `rpi4 > 20Mbps,5ms > i7-8700`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import TypedDict

from lmos_opt.costs import Layer
from lmos_opt.device import LocalDevice, Power, TimesLayers, load_device
from lmos_opt.errors import InputError
from lmos_opt.files import read_json
from lmos_opt.places import EDGE, SERVER, memory_limits
from lmos_opt.profile import NetworkProfile, Timing
from lmos_opt.units import parse_delay, parse_rate

DeviceName = TimesLayers | str | os.PathLike[str]
"""A device: the name of a bundled one, a device file, or the profile of a network that was timed on the machine."""
EXAMPLE = "'rpi4 > 20Mbps,5ms > jetson-orin-nano-cpu > 1Gbps,1ms > i7-8700'"


class TimedMachine:
    """A machine whose times a profile has, measured there or by `lmos profile NETWORK --at`: layer by layer, by their names."""

    power: Power | None = None

    def __init__(self, file: str, profile: NetworkProfile) -> None:
        """InputError if the profile has no times."""
        if not profile.is_timed:
            raise InputError(file, "holds no measured times; make it with: lmos profile NETWORK --time, or --at HOST:PORT")
        self.name = PurePath(file).stem
        self._file, self._t_s = file, {layer.name: layer.t_local_s for layer in profile.layers}
        self.timing = profile.timing

    def layer_time_s(self, layer: Layer) -> float:
        """The layer's time there; InputError if the profile has other layers."""
        found = self._t_s.get(layer.name)
        if found is None:
            raise InputError(self._file, f"holds no time of the layer {layer.name!r}: it is the profile of another network")
        return found


def load_place(device: DeviceName) -> TimesLayers:
    """As `load_device`; for the file of a profile, the machine on which it was timed."""
    data = None
    if isinstance(device, str | os.PathLike) and str(device).endswith(".json"):
        with suppress(InputError):
            data = read_json(FilePath(device))
    if isinstance(data, dict) and data.get("schema") == NetworkProfile.SCHEMA:
        return TimedMachine(str(device), NetworkProfile.from_dict(data, str(device)))
    return load_device(device)


@dataclass(frozen=True)
class HopOptions:
    """A hop as asked for: rates as `10Mbps` or B/s, the fixed cost of an exchange as `20ms` or s.

    Without `rtt` the fixed cost is 0, or, if both ends are this machine, the one that the profile measured; without `back` the way
    back is free.
    """

    bandwidth: str | float
    rtt: str | float | None = None
    back: str | float | None = None

    def parsed(self, local_rtt_s: float) -> dict[str, float | None]:
        """The hop as an instance has it; InputError for text that is no rate or time."""
        return {"bandwidth_bytes_per_s": parse_rate(self.bandwidth, "bandwidth"),
                "back_bytes_per_s": None if self.back is None else parse_rate(self.back, "back"),
                "rtt_s": local_rtt_s if self.rtt is None else parse_delay(self.rtt, "rtt")}  # fmt: skip


class TwoPlaces(TypedDict, total=False):
    """A path of two places, as keywords: two devices, and the hop between them."""

    edge: DeviceName
    server: DeviceName
    bandwidth: str | float
    rtt: str | float | None
    back: str | float | None


@dataclass(frozen=True)
class Path:
    """Devices in the order in which data flows, and the hops between them."""

    devices: tuple[DeviceName, ...]
    hops: tuple[HopOptions, ...]

    @classmethod
    def of_two(cls, edge: DeviceName = "rpi4", server: DeviceName = "paper-server", bandwidth: str | float = "10Mbps",
               rtt: str | float | None = None, back: str | float | None = None) -> Path:  # fmt: skip
        """The path from an edge to a server; by default the paper's setting."""
        return cls((edge, server), (HopOptions(bandwidth, rtt, back),))

    def loaded(self) -> tuple[TimesLayers, ...]:
        """The devices; InputError for an unknown one."""
        return tuple(map(load_place, self.devices))

    @property
    def names(self) -> list[str]:
        """The names of the places: two are edge and server, more have their devices' names, each once."""
        if len(self.devices) == 2:
            return [EDGE, SERVER]
        plain = [str(getattr(device, "name", p)) for p, device in enumerate(self.loaded(), 1)]
        return [name if plain.count(name) == 1 else f"{name} {plain[: k + 1].count(name)}" for k, name in enumerate(plain)]

    def timings(self, profile: NetworkProfile) -> list[Timing | None]:
        """How the times of each place were measured; None if a cost model gives them."""
        return [profile.timing or Timing() if isinstance(device, LocalDevice) else getattr(device, "timing", None)
                for device in self.loaded()]  # fmt: skip

    def limits(self, profile: NetworkProfile, memory: str | float | None) -> list[int | None]:
        """The memory limit of each place (B): the one in `memory`, otherwise the own memory of the device on which its times were
        measured, if it has one. InputError as `memory_limits`."""
        return memory_limits(memory, [None if timing is None else timing.memory_bytes for timing in self.timings(profile)])

    def timed_with(self, profile: NetworkProfile) -> tuple[str, ...]:
        """With which engine the times of each place were measured, or that a cost model gives them; nothing if none was measured.
        """
        found = self.timings(profile)
        return tuple("a cost model" if one is None else one.measured_with for one in found) if any(found) else ()

    def has_results(self) -> bool:
        """Whether any hop has a rate for the way back."""
        return any(hop.back is not None for hop in self.hops)

    def parsed_hops(self, exchange_s: float) -> list[dict[str, float | None]]:
        """The hops as an instance has them; `exchange_s` is the fixed cost of an exchange if both ends are this machine."""
        ends = self.loaded()
        return [hop.parsed(exchange_s if all(isinstance(end, LocalDevice) for end in ends[k : k + 2]) else 0.0)
                for k, hop in enumerate(self.hops)]


def parse_path(text: str | Path, option: str = "path") -> Path:
    """The path in `DEVICE > RATE[,RTT[,BACK]] > DEVICE ...`; a Path is returned unchanged. InputError says which part is wrong, and
    why."""
    if isinstance(text, Path):
        return text
    if not isinstance(text, str):
        raise InputError(option, f"got {text!r:.60}; expected text such as {EXAMPLE}, or a Path")
    parts = [part.strip() for part in text.split(">")]
    if len(parts) == 1:
        raise InputError(option, f"{text!r:.80} is not a path; expected devices with hops between them, such as {EXAMPLE}")
    for k, part in enumerate(parts):
        if not part:
            expected = "RATE or RATE,RTT" if k % 2 else "a device"
            raise InputError(option, f"{_called(k)} of {text!r:.80} is empty; expected {expected}")
    hops = tuple(_hop(part, f"{_called(k)}, {part!r:.60}", option) for k, part in enumerate(parts) if k % 2)
    if len(parts) % 2 == 0:
        raise InputError(option, f"{text!r:.80} ends with {_called(len(parts) - 1)}, {parts[-1]!r:.40}; expected a device after it")
    for k, device in enumerate(parts):
        if k % 2 == 0:
            with _part(f"{_called(k)}, {device!r:.60}", option):
                load_place(device)
    return Path(tuple(parts[::2]), hops)


def _called(k: int) -> str:
    """What part k of a path is called: devices and hops have numbers of their own, from 1."""
    return f"{'hop' if k % 2 else 'place'} {k // 2 + 1}"


def _hop(text: str, called: str, option: str) -> HopOptions:
    found: Sequence[str] = [part.strip() for part in text.split(",")]
    if len(found) > 3 or not all(found):
        raise InputError(option, f"{called}: expected RATE, RATE,RTT or RATE,RTT,BACK such as 20Mbps,5ms")
    with _part(called, option):
        HopOptions(*found).parsed(0.0)
    return HopOptions(*found)


@contextmanager
def _part(called: str, option: str) -> Iterator[None]:
    """What is wrong with a part of a path, as what is wrong with the path."""
    try:
        yield
    except InputError as error:
        raise InputError(option, f"{called}: {error}") from None
