"""The memory model `peak` beside what a head really takes above the program itself, each cut in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos.loopback import run_edge, server_process
from lmos.profiles import make_profile, weights_of
from lmos_opt.formulation.memory import edge_memory
from lmos_opt.instance import Instance
from lmos_opt.plan import Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import cut
from lmos_opt.units import counted
from runner.watching.report import RunReport

NEAR, NEAR_BYTES = 0.10, 8_000_000
"""How far measured memory may be from the model: whichever is more."""
_INPUT = (3, 224, 224)
_BANDWIDTH = "1Gbps"


@dataclass(frozen=True)
class MemoryOfCut:
    """One cut: the predicted memory (B), and the median of the measured memory (B)."""

    network: str
    x1: int
    x2: int
    peak_bytes: int
    measured_bytes: int

    @property
    def difference_bytes(self) -> int:
        """What is taken beyond the model."""
        return self.measured_bytes - self.peak_bytes

    @property
    def is_near(self) -> bool:
        """Whether the prediction is near enough: within NEAR of the measured memory, or NEAR_BYTES."""
        return abs(self.difference_bytes) <= max(NEAR * self.peak_bytes, NEAR_BYTES)


def measure(networks: Sequence[str], shares: Sequence[float],
            tell: Callable[[str], None] = lambda what: None) -> list[MemoryOfCut]:  # fmt: skip
    """Cut and run each network. Raises the errors of profiling and of running."""
    found = []
    with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log") as address:
        for network in networks:
            tell(f"profiling {network}")
            builder = f"torchvision:{network}"
            profile = make_profile(builder, weights_of(builder, None), "module", _INPUT)
            for share in shares:
                x1 = max(1, round(share * len(profile.layers)))
                tell(f"running {network}, {x1} of {counted(len(profile.layers), 'layer')} at the edge")
                found.append(_measure(profile, x1, address, Path(folder)))
    return found


def _measure(profile: NetworkProfile, x1: int, address: str, folder: Path) -> MemoryOfCut:
    instance = Instance.from_profile(profile)
    edge = cut(instance, x1)
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{x1}", memory_model="peak")
    plan = make_plan(instance, edge, setting=setting, profile=profile)
    plan.save(folder / "plan.json")
    run_edge(folder / "plan.json", address, 1, _BANDWIDTH, folder / "report.json")
    measured = RunReport.load(folder / "report.json").measured["edge_memory_bytes"]
    return MemoryOfCut(profile.name, plan.x1, plan.x2, edge_memory(instance, frozenset(plan.edge_layers), "peak"),
                       round(measured.p50))
