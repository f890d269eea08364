"""Predicted beside measured: networks timed on this machine, cut in a few places, and run there over a shaped loopback.

Edge and server are two processes of this machine, as for anybody who follows the README; nothing is tuned for the comparison.
A virtual machine's speed changes with what others do on the same cores, unseen: an idle one took 0.83 and 1.29 ms for the same
loop within a minute. So a network is timed before and after each run, and the prediction is the mean of both.
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
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import cut
from lmos_opt.units import counted
from measurement.timing import BUDGET_S
from measurement.timing.others import Others
from runner.watching.report import RunReport

SHARES = (0.25, 0.5, 0.75)
"""Where a network is cut, as shares of its layers."""
_INPUT = (3, 224, 224)
_EACH_S = BUDGET_S / 2
"""A network is timed once more than it is run; two of these have the time that `lmos profile --time` takes."""
_STAGES = ("t_edge_s", "t_tx_s", "t_server_s", "latency_s")


@dataclass(frozen=True)
class Comparison:
    """One cut: predicted times and medians of the measured ones (s), by stage; `each` image's; and the share of the processors that
    other programs had while the network was timed and while the cut was run (None: nobody knows). The network is timed `before` the
    run and `after` it, and `predicted` is the mean of what follows from the two (s, by stage)."""

    network: str
    x1: int
    x2: int
    images: int
    predicted: dict[str, float]
    measured: dict[str, float]
    each: dict[str, list[float]] = field(default_factory=dict)
    others_profiled: float | None = None
    others_run: float | None = None
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """The latency's relative error: 0.1 is a prediction that is a tenth too high."""
        return self.predicted["latency_s"] / self.measured["latency_s"] - 1


def timed(network: str, budget_s: float = BUDGET_S) -> NetworkProfile:
    """A network of torchvision's with this machine's times. Raises what profiling does."""
    return time_profile(_profiled(network), budget_s=budget_s)


def _profiled(network: str) -> NetworkProfile:
    builder = f"torchvision:{network}"
    return make_profile(builder, weights_of(builder, None), "module", _INPUT)


def compare(networks: Sequence[str], shares: Sequence[float], images: int, bandwidth: str,
            tell: Callable[[str], None] = lambda what: None) -> list[Comparison]:  # fmt: skip
    """Time, cut and run each network. Raises what profiling and running do."""
    found = []
    with TemporaryDirectory() as folder:
        for network in networks:
            untimed = _profiled(network)
            count = len(untimed.layers)
            tell(f"timing {network}")
            before = time_profile(untimed, budget_s=_EACH_S)
            for share in shares:
                x1 = round(share * count)
                tell(f"running {network}, {x1} of {counted(count, 'layer')} at the edge, and timing it again")
                plan = _plan(before, x1, bandwidth)
                report, others_run = _run(plan, images, bandwidth, Path(folder))
                after = time_profile(untimed, budget_s=_EACH_S)
                found.append(_compared(report, _stages(plan), _stages(_plan(after, x1, bandwidth)), others_run,
                                       [before, after]))  # fmt: skip
                before = after
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


def _plan(profile: NetworkProfile, x1: int, bandwidth: str) -> Plan:
    instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=bandwidth)
    setting = Setting.of(instance, edge="local", server="local", rule=f"cut:{x1}")
    return make_plan(instance, cut(instance, x1), setting=setting, profile=profile)


def _stages(plan: Plan) -> dict[str, float]:
    return {stage: float(plan.predicted[stage]) for stage in _STAGES}


def _run(plan: Plan, images: int, bandwidth: str, folder: Path) -> tuple[RunReport, float | None]:
    """The report, and the share of the processors that other programs had meanwhile."""
    plan.save(folder / "plan.json")
    others = Others(children=True)
    with server_process(folder / "server.log") as address:
        run_edge(folder / "plan.json", address, images, bandwidth, folder / "report.json")
    return RunReport.load(folder / "report.json"), others.share()


def _compared(report: RunReport, before: dict[str, float], after: dict[str, float], others_run: float | None,
              profiles: Sequence[NetworkProfile]) -> Comparison:  # fmt: skip
    each = {stage: [getattr(image, stage) for image in report.per_image] for stage in _STAGES}
    predicted = {stage: (before[stage] + after[stage]) / 2 for stage in _STAGES}
    measured = {stage: median(times) for stage, times in each.items()}
    known = [one.timing.others for one in profiles if one.timing is not None and one.timing.others is not None]
    return Comparison(profiles[0].name, report.plan.x1, report.plan.x2, len(report.per_image), predicted, measured, each,
                      max(known, default=None), others_run, before, after)  # fmt: skip
