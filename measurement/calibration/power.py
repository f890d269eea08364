"""What this machine draws, where it can be read: RAPL's energy counters, or a battery that it runs on.

RAPL counts the processor packages (Linux, /sys/class/powercap), not memory, radio or screen; a battery
(/sys/class/power_supply) gives the whole device while it is not being charged. Neither is there on most virtual machines.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SYSTEM = Path("/sys/class")


class Meter(Protocol):
    """A meter of electric power."""

    @property
    def what(self) -> str:
        """The meter in words, and the parts of the device whose power it measures."""

    def average_w(self, work: Callable[[], object], least_s: float) -> float:
        """The average power (W) while `work` is called repeatedly for at least `least_s` seconds."""


@dataclass(frozen=True)
class Rapl:
    """The energy counters of the processor packages: folders with `energy_uj` and `max_energy_range_uj`."""

    packages: tuple[Path, ...]

    @property
    def what(self) -> str:
        """The counters in words, and what they do not measure."""
        return f"RAPL, {len(self.packages)} processor package(s): not memory, screen or radio"

    def average_w(self, work: Callable[[], object], least_s: float) -> float:
        """The energy divided by the time (W). A counter that has passed its range has started again at 0, at most once."""
        start, before = time.perf_counter(), [_number(package / "energy_uj") for package in self.packages]
        while (passed := time.perf_counter() - start) < least_s:
            work()
        used = 0.0
        for package, first in zip(self.packages, before, strict=True):
            difference = _number(package / "energy_uj") - first
            used += difference if difference >= 0 else difference + _number(package / "max_energy_range_uj")
        return used / 1e6 / max(passed, time.perf_counter() - start)


@dataclass(frozen=True)
class Battery:
    """A battery's own measurement: `power_now` (uW), or `current_now` (uA) times `voltage_now` (uV)."""

    folder: Path

    @property
    def what(self) -> str:
        """The meter in words: the battery's name, and that it measures the whole device."""
        return f"battery {self.folder.name}: the whole device"

    def average_w(self, work: Callable[[], object], least_s: float) -> float:
        """The mean (W) of the values that the battery shows after each call of `work`."""
        start, told = time.perf_counter(), list[float]()
        while not told or time.perf_counter() - start < least_s:
            work()
            told.append(self._now_w())
        return sum(told) / len(told)

    def _now_w(self) -> float:
        if (self.folder / "power_now").is_file():
            return abs(_number(self.folder / "power_now")) / 1e6
        return abs(_number(self.folder / "current_now") * _number(self.folder / "voltage_now")) / 1e12


def meter(system: Path = SYSTEM) -> Meter | None:
    """A meter that can be read on this machine: a battery in use, otherwise RAPL, which measures less. None if there is none."""
    for folder in sorted((system / "power_supply").glob("*")):
        try:
            if (folder / "status").read_text().strip() == "Discharging":
                battery = Battery(folder)
                battery._now_w()
                return battery
        except (OSError, ValueError):
            continue
    packages = []
    for folder in sorted((system / "powercap").glob("intel-rapl:*")):
        if re.fullmatch(r"intel-rapl:\d+", folder.name):  # `intel-rapl:0:0` is a part of it
            try:
                _number(folder / "energy_uj")
            except (OSError, ValueError):  # readable by root alone, on most systems
                continue
            packages.append(folder)
    return Rapl(tuple(packages)) if packages else None


def _number(path: Path) -> float:
    return float(path.read_text())
