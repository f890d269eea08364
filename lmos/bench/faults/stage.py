"""What scenes are played on: a plan of a bundled network, and a server process that can be ended, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, PlannedNetwork, Setting, check_runnable, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import baseline, cut
from lmos_opt.sources import Options, instance_of, load_source
from runner.errors import RunnerError
from runner.wire.connecting import format_address

LMOS = (sys.executable, "-m", "lmos")
_START_S = 60.0
_STOP_S = 40.0
_LISTENING = "listening on "


def planned(network: str, x1: int | None) -> tuple[Plan, PlannedNetwork]:
    """A plan of a bundled network with so many layers at the edge, or all of them. InputError for a source that is no network."""
    profile = load_source(network)
    if not isinstance(profile, NetworkProfile):
        raise InputError(network, "is an instance of numbers alone; expected a network that can be run")
    instance = instance_of(profile, Options())
    x1 = len(instance.names) if x1 is None else x1
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{x1}")
    plan = make_plan(instance, cut(instance, x1), setting=setting, profile=profile)
    return plan, check_runnable(plan, network)


def planned_over(network: str, path: str, cuts: Sequence[int]) -> Plan:
    """A plan of a bundled network along a path of devices, with so many layers up to each place but the last."""
    profile = load_source(network)
    assert isinstance(profile, NetworkProfile)
    instance = Instance.from_profile(profile, path=path)
    rule = f"cut:{','.join(map(str, cuts))}"
    split = baseline(instance, rule)
    assert split is not None
    return make_plan(instance, split.edge_layers, later_layers=split.places[1:], profile=profile,
                     setting=Setting.of(instance, edge="", server="", rule=rule))  # fmt: skip


def networks_of(plan: Plan) -> list[str]:
    """The code that both sides may run to build the plan's network: it is this machine's own."""
    return [plan.network.builder] if plan.network is not None else []


class ServerProcess:
    """`python -m runner.places.server` at a port of this machine; ended with the block. A middle place asks the one at `onward`."""

    def __init__(self, log: Path, arguments: Sequence[str] = (), onward: tuple[str, int] | None = None) -> None:
        self.log, self._arguments, self._port = log, arguments, 0
        self._onward = "" if onward is None else f">{format_address(onward)}"
        self._process: subprocess.Popen[str] | None = None
        self._later: threading.Timer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        if self._later is not None:
            self._later.cancel()
            self._later.join()
        self.kill()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: the same address after every start."""
        return "127.0.0.1", self._port

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when it listens. RunnerError if it does not."""
        command = [sys.executable, "-m", "runner.places.server", f"127.0.0.1:{self._port}{self._onward}", *self._arguments]
        with self.log.open("a") as errors:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            said = self.log.read_text().strip()[-300:] if self.log.is_file() else ""
            raise RunnerError("the server", f"did not start: {said}")
        self._port = int(port)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call a function after some seconds, unless the block has ended by then."""
        self._later = threading.Timer(seconds, do)
        self._later.start()

    def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def end(self) -> int:
        """End the process as an operator does (SIGTERM), and return its exit code."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        return self._process.wait(_STOP_S)


@contextmanager
def serving(log: Path, arguments: Sequence[object]) -> Iterator[tuple[str, int]]:
    """`lmos serve` with these arguments: its address and its process. RunnerError if it does not start."""
    command = [*LMOS, "serve", "--listen", "127.0.0.1:0", *map(str, arguments)]
    with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
        try:
            end = time.monotonic() + _START_S
            while _LISTENING not in (said := log.read_text()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RunnerError("the server", f"did not start: {said.strip()[-300:]}")
                time.sleep(0.05)
            yield said.partition(_LISTENING)[2].partition(" ")[0].rstrip(","), process.pid
        finally:
            process.terminate()
            process.wait(_STOP_S)


def resident_bytes_of(pid: int) -> int:
    """Resident memory of a process (B)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors_of(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone are counted


def threads_of(pid: int) -> int:
    """How many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
