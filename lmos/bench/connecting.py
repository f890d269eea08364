"""A comparison of `connect`, with arrays of the user's, and `lmos run --pipeline`: throughput, equal bits, and a server that dies.

Both ask the same server process for the same cut of the same network over loopback, with the same depth, in turns. `lmos run` makes
its inputs during the run (random tensors, because the network takes no pictures); the arrays exist before.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lmos.bench.faults.stage import ServerProcess
from lmos.whole_runs import whole_run
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from runner.client.pipeline import PIPELINE_DEPTH
from runner.places.connect import connect
from runner.watching.report import RunReport

LEAST_SHARE = 0.95
"""Of the throughput of `lmos run --pipeline`: what this project holds itself to."""
NETWORK = f"{__name__}:small"
SHAPE, X1 = (1, 8, 64, 64), 2
Arrays = list[npt.NDArray[np.float32]]
Tell = Callable[[str], None]


def small() -> nn.Module:
    """About as much work on both sides, and 512 kB that cross."""
    return nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))  # fmt: skip


@dataclass
class Outcome:
    """Images a second in each round, how many outputs differed from the whole network's, were missing or were finished at the edge;
    and the same of the arrays under way when the server was killed and started again."""

    arrays: int
    run_images_per_s: list[float] = field(default_factory=list)
    connect_images_per_s: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    fallbacks: int = 0
    restarts: int = 0
    resent: int = 0

    @property
    def share(self) -> float:
        """The throughput over that of `lmos run --pipeline`, medians of the rounds."""
        return median(self.connect_images_per_s) / median(self.run_images_per_s)

    @property
    def fault(self) -> str | None:
        """The first broken promise, in words; None if all are kept."""
        if self.wrong or self.lost or self.fallbacks:
            return f"{self.wrong} outputs are wrong, {self.lost} are missing, and {self.fallbacks} were finished at the edge"
        if self.share < LEAST_SHARE:
            return f"the throughput is {self.share:.2f} of that of lmos run --pipeline"
        return None


def measure(n: int, rounds: int, folder: Path, seed: int = 0, tell: Tell = lambda what: None) -> Outcome:
    """n arrays in each of so many rounds, in turns with `lmos run`; then n more, with a server that is killed and started again."""
    plan, module = _planned()
    generator = np.random.default_rng(seed)
    arrays = [generator.standard_normal(SHAPE, np.float32) for _ in range(n)]
    with torch.inference_mode():
        expected = [module(torch.from_numpy(array)) for array in arrays]
    found, drawn = Outcome(n), random.Random(seed)
    with ServerProcess(folder / "server.log", [NETWORK]) as server:

        def run() -> None:
            report = whole_run(plan, server.address, n=n, networks=[NETWORK], pipelined=True)
            found.run_images_per_s.append(report.goodput_images_per_s or 0.0)

        def ours() -> None:
            report = _through(plan, server, arrays, expected, found, lambda k: None)
            found.connect_images_per_s.append(report.goodput_images_per_s or 0.0)

        for k in range(rounds):
            tell(f"round {k + 1} of {rounds}")
            for turn in drawn.sample([run, ours], 2):
                turn()
        tell("a server that is killed and started again")

        def kill(k: int) -> None:
            if k == n // 2:
                server.kill()
                server.later(0.5, server.start)
                found.restarts += 1

        found.resent += _through(plan, server, arrays, expected, found, kill).retries
    return found


def _through(plan: Plan, server: ServerProcess, arrays: Arrays, expected: list[Tensor], found: Outcome,
             happen: Callable[[int], None]) -> RunReport:  # fmt: skip
    """All arrays through one connection; something happens after each output."""
    done = 0
    with connect(plan, server.address, networks=[NETWORK]) as split:
        for done, output in enumerate(split.map(arrays, PIPELINE_DEPTH), 1):
            found.wrong += not torch.equal(output, expected[done - 1])
            happen(done)
        report = split.report()
    found.lost += len(arrays) - done
    found.fallbacks += report.fallbacks
    return report


def _planned() -> tuple[Plan, nn.Module]:
    """A plan that leaves nothing to be finished at the edge: its memory limit is the head's own."""
    module = build_network(NETWORK, "seeded:0", allow_code=True)
    profile = profile_built(NETWORK, "seeded:0", module, trace_network(module, torch.zeros(SHAPE)))
    instance = Instance.from_profile(profile, memory=1)
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{X1}")
    return make_plan(instance, instance.names[:X1], setting=setting, profile=profile), module
