"""A comparison of the edges without and with torch: start-up and memory, in turns, each run in its own process. The classes of
both are compared with those of the whole network."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from lmos.loopback import server_process
from lmos.profiles import make_profile, weights_of
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, check_runnable, make_plan
from lmos_opt.rules.baselines import cut
from measurement.networks import build_network
from runner.errors import RunnerError
from runner.images import find_images
from runner.parts.exporting import export_plan
from runner.parts.network import class_of, flat_outputs

MOST = 0.25
"""What the edge without torch may take of the other's memory and start-up."""
HEAVY = ("torch", "torchvision", "pyomo", "pandas", "pydantic")
_INPUT = (3, 224, 224)
_PATIENCE_S = 600
_PROGRAM = f"""
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    sys.stderr.write(f"\\n{{peak}} {{','.join(name for name in {HEAVY!r} if sys.modules.get(name)) or '-'}}\\n")
"""
"""Runs a module as a command; at the end it says how much memory was resident at most (kB), and which large packages it has."""


@dataclass(frozen=True)
class EdgeRun:
    """One process: the time from its start to its end, with one picture in it (s), its most resident memory (B), the large packages
    that it imported, and the classes of the pictures that it ran."""

    seconds: float
    resident_bytes: int
    heavy: tuple[str, ...]
    classes: tuple[int | None, ...]


@dataclass(frozen=True)
class EdgesOfNetwork:
    """A network's edges: with torch, and without it; the classes that the whole network gives."""

    network: str
    x1: int
    x2: int
    with_torch: tuple[EdgeRun, ...]
    without: tuple[EdgeRun, ...]
    classes_with_torch: tuple[int | None, ...]
    classes_without: tuple[int | None, ...]
    classes: tuple[int | None, ...]

    @property
    def start_up(self) -> float:
        """The share of the other's start-up, median over median."""
        return median(run.seconds for run in self.without) / median(run.seconds for run in self.with_torch)

    @property
    def resident(self) -> float:
        """The share of the other's memory, median over median."""
        return median(run.resident_bytes for run in self.without) / median(run.resident_bytes for run in self.with_torch)

    @property
    def heavy(self) -> tuple[str, ...]:
        """The large packages that the edge without torch imported."""
        return tuple(sorted({name for run in self.without for name in run.heavy}))

    @property
    def is_small(self) -> bool:
        """Whether the edge without torch is what it should be."""
        return max(self.start_up, self.resident) <= MOST and not self.heavy and self.classes_without == self.classes


def measure(networks: Sequence[str], repeats: int, python: str | None = None,
            tell: Callable[[str], None] = lambda what: None) -> list[EdgesOfNetwork]:  # fmt: skip
    """Each network cut in its middle, by torchvision's name. `python` runs the edge without torch (default: this one).

    Raises what profiling, exporting and running do.
    """
    found = []
    with TemporaryDirectory() as name, server_process(Path(name) / "server.log") as address:
        folder = Path(name)
        for network in networks:
            tell(f"exporting {network}")
            plan = _plan(network)
            plan.save(folder / "plan.json")
            with torch.no_grad():
                export_plan(plan, folder / "parts")
            run = ["run", str(folder / "plan.json")]
            ways = {"torch": [sys.executable, "-m", "lmos", *run],
                    "": [python or sys.executable, "-m", "lmos_edge", *run, "--head", str(folder / "parts")]}  # fmt: skip
            tell(f"running {network} with torch and without")
            whole = {way: _run(command, address, None) for way, command in ways.items()}  # every picture; and the server is warm
            runs: dict[str, list[EdgeRun]] = {way: [] for way in ways}
            for _ in range(repeats):
                for way, command in ways.items():
                    runs[way].append(_run(command, address, 1))
            found.append(EdgesOfNetwork(network, plan.x1, plan.x2, tuple(runs["torch"]), tuple(runs[""]), whole["torch"].classes,
                                        whole[""].classes, _classes(plan)))  # fmt: skip
    return found


def _plan(network: str) -> Plan:
    builder = f"torchvision:{network}"
    profile = make_profile(builder, weights_of(builder, None), "module", _INPUT)
    instance, x1 = Instance.from_profile(profile), len(profile.layers) // 2
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{x1}", memory_model="peak")
    return make_plan(instance, cut(instance, x1), setting=setting, profile=profile)


def _run(command: Sequence[str], address: str, n: int | None) -> EdgeRun:
    """RunnerError if the edge fails."""
    options = ["--server", address, "--json", "--threads", "1", *([] if n is None else ["-n", str(n)])]
    begin = time.perf_counter()
    done = subprocess.run([command[0], "-c", _PROGRAM, *command[2:], *options], capture_output=True, text=True, check=False,
                          timeout=_PATIENCE_S)  # fmt: skip
    seconds = time.perf_counter() - begin
    *said, last = done.stderr.strip().splitlines() or [""]
    if done.returncode:
        raise RunnerError("the edge", f"ended with exit code {done.returncode}: {' '.join(said)[-500:]}")
    peak, heavy = last.split()
    report = json.loads(done.stdout)
    return EdgeRun(seconds, int(peak) * 1024, () if heavy == "-" else tuple(heavy.split(",")),
                   tuple(image["class"] for image in report["per_image"]))  # fmt: skip


def _classes(plan: Plan) -> tuple[int | None, ...]:
    network = check_runnable(plan, "plan")
    module = build_network(network.builder, network.weights)
    images = find_images(network, None)
    with torch.inference_mode():
        return tuple(class_of(flat_outputs(module(images.load(k)))) for k in range(len(images)))
