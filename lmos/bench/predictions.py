"""Predicted beside measured: networks timed on this machine, cut in a few places, and run there over a shaped loopback.

Edge and server are two processes of this machine, as for anybody who follows the README; nothing is tuned for the comparison.
A virtual machine's speed changes with what others do on the same cores, unseen: an idle one took 13 and 19 ms for the same
network within a minute. So runs and timings take turns: every cut is run in each of a few rounds, and the network is timed
between two runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

from lmos.loopback import run_edge, server_process
from lmos.profiles import make_profile, time_profile, weights_of
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import cut
from lmos_opt.units import counted
from measurement import here
from measurement.timing import BUDGET_S, REST_S
from measurement.timing.others import Others
from runner.watching.report import RunReport

SHARES = (0.25, 0.5, 0.75)
"""Where a network is cut, as shares of its layers."""
_INPUT = (3, 224, 224)
ROUNDS = 4
_BETWEEN_S = 2.0
"""Time for one timing between two runs."""
_STAGES = ("t_edge_s", "t_tx_s", "t_server_s", "latency_s")


@dataclass(frozen=True)
class Comparison:
    """One cut: predicted and measured times (s), by stage; `each` image's; and the share of the processors that other programs had
    while the network was timed and while the cut was run (None: nobody knows). `measured` is the mean of the rounds' medians,
    `predicted` the mean of what follows from the timings before and after each run; of these, `slowest` takes the most, over what
    the fastest takes."""

    network: str
    x1: int
    x2: int
    images: int
    predicted: dict[str, float]
    measured: dict[str, float]
    each: dict[str, list[float]] = field(default_factory=dict)
    others_profiled: float | None = None
    others_run: float | None = None
    slowest: dict[str, float] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """The latency's relative error: 0.1 is a prediction that is a tenth too high."""
        return self.predicted["latency_s"] / self.measured["latency_s"] - 1


def timed(network: str, budget_s: float = BUDGET_S) -> NetworkProfile:
    """A network of torchvision's with this machine's times. Raises what profiling does."""
    builder = f"torchvision:{network}"
    return time_profile(make_profile(builder, weights_of(builder, None), "module", _INPUT), budget_s=budget_s)


def compare(networks: Sequence[str], shares: Sequence[float], images: int, bandwidth: str,
            tell: Callable[[str], None] = lambda what: None) -> list[Comparison]:  # fmt: skip
    """Time, cut and run each network: `images` for each cut in each of the ROUNDS. Raises what profiling and running do."""
    found = []
    for network in networks:
        tell(f"timing {network}")
        profile = timed(network, BUDGET_S / 2)
        with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log") as address:
            cuts = [_Cut(profile, round(share * len(profile.layers)), bandwidth) for share in shares]
            rest_s = min(REST_S, median(_stages(one.plan)["t_tx_s"] for one in cuts))
            before = _timed_again(profile, rest_s)
            for round_ in range(ROUNDS):
                for one in cuts:
                    tell(f"running {network}, {one.plan.x1} of {counted(len(profile.layers), 'layer')} at the edge, round "
                         f"{round_ + 1} of {ROUNDS}, and timing it again")  # fmt: skip
                    one.run(address, images, Path(folder))
                    after = _timed_again(profile, rest_s)
                    one.note(before, after)
                    before = after
        found += [one.compared() for one in cuts]
    return found


def _timed_again(profile: NetworkProfile, rest_s: float) -> NetworkProfile:
    """The profile with new times of its layers; what an exchange costs is as it was. This machine is edge and server at once, and
    rests as long as the link is busy."""
    again = here.time_profile(profile, budget_s=_BETWEEN_S, rest_s=rest_s)
    costs = ("exchange_s", "exchange_low_s", "exchange_high_s")
    assert again.timing is not None
    assert profile.timing is not None
    kept = again.timing.model_copy(update={key: getattr(profile.timing, key) for key in costs})
    return again.model_copy(update={"timing": kept})


class _Cut:
    """One cut of a timed network, and what its rounds gave."""

    def __init__(self, profile: NetworkProfile, x1: int, bandwidth: str) -> None:
        self._profile, self._x1, self._bandwidth = profile, x1, bandwidth
        self.plan = self._planned(profile)
        self._reports: list[RunReport] = []
        self._predicted: list[dict[str, float]] = []
        self._timings: list[NetworkProfile] = []
        self._others_run: list[float] = []

    def _planned(self, profile: NetworkProfile) -> Plan:
        instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=self._bandwidth)
        setting = Setting.of(instance, edge="local", server="local", rule=f"cut:{self._x1}")
        return make_plan(instance, cut(instance, self._x1), setting=setting, profile=profile)

    def run(self, address: str, images: int, folder: Path) -> None:
        """One round."""
        self.plan.save(folder / "plan.json")
        others = Others(children=True)
        run_edge(folder / "plan.json", address, images, self._bandwidth, folder / "report.json")
        self._reports.append(RunReport.load(folder / "report.json"))
        if (share := others.share()) is not None:
            self._others_run.append(share)

    def note(self, before: NetworkProfile, after: NetworkProfile) -> None:
        """The timings around a round."""
        self._predicted += [_stages(self._planned(profile)) for profile in (before, after)]
        self._timings += [before, after]

    def compared(self) -> Comparison:
        """Predicted beside measured over all rounds."""
        each = {stage: [[getattr(image, stage) for image in report.per_image] for report in self._reports] for stage in _STAGES}
        predicted = {stage: [one[stage] for one in self._predicted] for stage in _STAGES}
        timings = [one.timing.others for one in self._timings if one.timing is not None and one.timing.others is not None]
        return Comparison(
            self._profile.name, self.plan.x1, self.plan.x2, sum(len(report.per_image) for report in self._reports),
            {stage: fmean(times) for stage, times in predicted.items()},
            {stage: fmean(map(median, rounds)) for stage, rounds in each.items()},
            {stage: [time_s for times in rounds for time_s in times] for stage, rounds in each.items()},
            max(timings, default=None), max(self._others_run, default=None),
            {stage: max(times) / min(times) if min(times) > 0 else 1.0 for stage, times in predicted.items()},
        )  # fmt: skip


def _stages(plan: Plan) -> dict[str, float]:
    return {stage: float(plan.predicted[stage]) for stage in _STAGES}


def by_stage(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """How far a stage's predictions are off in the median (s), signed: what is systematic shows here."""
    return {stage: median(one.predicted[stage] - one.measured[stage] for one in comparisons) for stage in _STAGES}


def worst(comparisons: Sequence[Comparison]) -> float:
    """The largest error of a latency, whatever its sign."""
    return max(abs(comparison.error) for comparison in comparisons)


def middle(comparisons: Sequence[Comparison]) -> float:
    """The median error of a latency, whatever its sign."""
    return median(abs(comparison.error) for comparison in comparisons)
