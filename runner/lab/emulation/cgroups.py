"""A control group that holds processes to an amount of memory and a share of a processor (Linux, versions 1 and 2)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.lab.emulation.command import CannotEmulate

_ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 4000
"""The period after which shares are given out again: much shorter than a layer takes, so that all layers are slowed equally."""
_REMOVE_S = 5.0


@dataclass(frozen=True)
class Limits:
    """Memory (B) and processors (0.5: half of one) that a device has; None: no limit."""

    memory_bytes: int | None
    cpus: float | None


@dataclass(frozen=True)
class Group:
    """A control group: its folders, one for each hierarchy that it is in."""

    folders: tuple[Path, ...]

    def entering(self) -> list[str]:
        """What to put before a command, so that it runs inside."""
        lists = [str(folder / "cgroup.procs") for folder in self.folders]
        return ["/bin/sh", "-c", 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"', "sh",
                *lists, "--"]  # fmt: skip

    def peak_bytes(self) -> int | None:
        """The most memory that was held inside, with the pages of files; None if the system does not say."""
        for folder in self.folders:
            for name in ("memory.peak", "memory.max_usage_in_bytes"):
                with contextlib.suppress(OSError, ValueError):
                    return int((folder / name).read_text())
        return None


@contextmanager
def group(name: str, limits: Limits) -> Iterator[Group]:
    """A new group for the time of the block; afterwards whatever still runs in it is killed, and it is gone.

    Raises CannotEmulate if none can be made.
    """
    folders: list[Path] = []
    try:
        try:
            for folder, settings in _wanted(name, limits).items():
                folder.mkdir()
                folders.append(folder)
                for file, value in settings.items():
                    (folder / file).write_text(value)
        except OSError as error:
            raise CannotEmulate(f"cannot emulate here: {error.filename}: {(error.strerror or str(error)).lower()}") from None
        yield Group(tuple(folders))
    finally:
        _remove(Group(tuple(folders)))


def _wanted(name: str, limits: Limits) -> Mapping[Path, Mapping[str, str]]:
    """The group's folders and what is to be written there, in this order."""
    quota = None if limits.cpus is None else str(round(limits.cpus * PERIOD_US))
    if (_ROOT / "cgroup.controllers").is_file():
        available = (_ROOT / "cgroup.controllers").read_text().split()
        if not {"cpu", "memory"}.issubset(available):
            raise CannotEmulate(f"cannot emulate here: control groups have no cpu and memory, only {' '.join(available)}")
        with contextlib.suppress(OSError):  # it may be on already, or be nobody's to change; then writing the limits fails
            (_ROOT / "cgroup.subtree_control").write_text("+cpu +memory")
        settings = {"cpu.max": f"{quota or 'max'} {PERIOD_US}"}
        if limits.memory_bytes is not None:
            settings |= {"memory.max": str(limits.memory_bytes), "memory.swap.max": "0"}
        return {_ROOT / name: settings}
    for controller in ("cpu", "memory"):
        if not (_ROOT / controller / "cgroup.procs").is_file():
            raise CannotEmulate(f"cannot emulate here: there is no control group for {controller} in {_ROOT}")
    cpu = {} if quota is None else {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": quota}
    memory = {} if limits.memory_bytes is None else {"memory.limit_in_bytes": str(limits.memory_bytes)}
    return {_ROOT / "cpu" / name: cpu, _ROOT / "memory" / name: memory}


def _remove(made: Group) -> None:
    end = time.monotonic() + _REMOVE_S
    for folder in reversed(made.folders):
        while folder.exists():
            with contextlib.suppress(OSError, ProcessLookupError):
                for process in (folder / "cgroup.procs").read_text().split():
                    os.kill(int(process), signal.SIGKILL)
            try:
                folder.rmdir()
            except OSError:  # processes take a moment to be gone
                if time.monotonic() > end:
                    break
                time.sleep(0.02)
