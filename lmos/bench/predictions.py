"""Predicted beside measured: networks timed on this machine, cut in a few places, and run there over a shaped loopback.

Edge and server are two processes of this machine, as for anybody who follows the README; nothing is tuned for the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from lmos.loopback import run_edge, server_process
from lmos.profiles import make_profile, time_profile, weights_of
from lmos_opt.instance import Instance
from lmos_opt.plan import Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import cut
from lmos_opt.units import counted
from measurement.timing.others import Others
from runner.watching.report import RunReport

SHARES = (0.25, 0.5, 0.75)
"""Where a network is cut, as shares of its layers."""
_INPUT = (3, 224, 224)
_STAGES = ("t_edge_s", "t_tx_s", "t_server_s", "latency_s")


@dataclass(frozen=True)
class Comparison:
    """One cut: predicted times and medians of the measured ones (s), by stage; `each` image's; and the share of the processors that
    other programs had while the network was timed and while the cut was run (None: nobody knows)."""

    network: str
    x1: int
    x2: int
    images: int
    predicted: dict[str, float]
    measured: dict[str, float]
    each: dict[str, list[float]] = field(default_factory=dict)
    others_profiled: float | None = None
    others_run: float | None = None

    @property
    def error(self) -> float:
        """The latency's relative error: 0.1 is a prediction that is a tenth too high."""
        return self.predicted["latency_s"] / self.measured["latency_s"] - 1


def timed(network: str) -> NetworkProfile:
    """A network of torchvision's with this machine's times. Raises what profiling does."""
    builder = f"torchvision:{network}"
    return time_profile(make_profile(builder, weights_of(builder, None), "module", _INPUT))


def compare(networks: Sequence[str], shares: Sequence[float], images: int, bandwidth: str,
            tell: Callable[[str], None] = lambda what: None) -> list[Comparison]:  # fmt: skip
    """Time, cut and run each network. Raises what profiling and running do."""
    found = []
    with TemporaryDirectory() as folder:
        for network in networks:
            tell(f"timing {network}")
            profile = timed(network)
            count = len(profile.layers)
            for share in shares:
                x1 = round(share * count)
                tell(f"running {network}, {x1} of {counted(count, 'layer')} at the edge")
                found.append(_compare(profile, x1, images, bandwidth, Path(folder)))
    return found


def by_stage(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """How far a stage's predictions are off in the median (s), signed: what is systematic shows here."""
    return {stage: median(one.predicted[stage] - one.measured[stage] for one in comparisons) for stage in _STAGES}


def worst(comparisons: Sequence[Comparison]) -> float:
    """The largest error of a latency, whatever its sign."""
    return max(abs(comparison.error) for comparison in comparisons)


def middle(comparisons: Sequence[Comparison]) -> float:
    """The median error of a latency, whatever its sign."""
    return median(abs(comparison.error) for comparison in comparisons)


def _compare(profile: NetworkProfile, x1: int, images: int, bandwidth: str, folder: Path) -> Comparison:
    instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=bandwidth)
    setting = Setting.of(instance, edge="local", server="local", rule=f"cut:{x1}")
    plan = make_plan(instance, cut(instance, x1), setting=setting, profile=profile)
    plan.save(folder / "plan.json")
    others = Others(children=True)
    with server_process(folder / "server.log") as address:
        run_edge(folder / "plan.json", address, images, bandwidth, folder / "report.json")
    others_run = others.share()
    report = RunReport.load(folder / "report.json")
    each = {stage: [getattr(image, stage) for image in report.per_image] for stage in _STAGES}
    predicted = {stage: float(plan.predicted[stage]) for stage in _STAGES}
    measured = {stage: median(times) for stage, times in each.items()}
    others_profiled = None if profile.timing is None else profile.timing.others
    return Comparison(profile.name, plan.x1, plan.x2, images, predicted, measured, each, others_profiled, others_run)
