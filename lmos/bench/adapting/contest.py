"""The benchmark of adaptation: a network timed here, a policy made from its times, one course over a link in steps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

from lmos.bench.adapting.course import BEGAN, Course, found_at
from lmos.bench.adapting.slowing import Slowed
from lmos.bench.adapting.trial import Trial
from lmos.bench.faults.stage import ServerProcess
from lmos.profiles import make_profile, time_profile, weights_of
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.policies.policy_maps import bandwidth_policy
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import cut
from runner.adaptation.cuts import Choice
from runner.errors import RunnerError
from runner.watching.report import RunReport

LIMIT = 1.15
"""How much slower than the best fixed cut a step may be, its beginning counted."""
FAR = 1.6
"""A cut that is predicted to take this much longer than the best is far from it: a few images are enough to say so."""
_TRIED = 40
"""Images of a trial: of as many, two lie beyond the 95 % quantile."""
_INPUT = (3, 224, 224)


@dataclass(frozen=True)
class Step:
    """One rate: the mean latency (s) of the run that adapts, and of every fixed cut (by edge layers)."""

    rate_bytes_per_s: float
    images: int
    adaptive_s: float
    fixed_s: dict[int, float]
    changes: int

    @property
    def best(self) -> int:
        """The best fixed cut, known in hindsight."""
        return min(self.fixed_s, key=lambda x1: self.fixed_s[x1])

    @property
    def ratio(self) -> float:
        """How much slower the run that adapts was than it."""
        return self.adaptive_s / self.fixed_s[self.best]


@dataclass(frozen=True)
class Outcome:
    """The steps, the report of the run that adapted, and the share of a processor that the edge really had."""

    steps: tuple[Step, ...]
    report: RunReport
    share: float

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and no step is above LIMIT."""
        return not self.report.lost and all(step.ratio <= LIMIT for step in self.steps)


def contest(network: str, rates: Sequence[float], images: int, share: float,
            tell: Callable[[str], None] = lambda what: None) -> Outcome:  # fmt: skip
    """Time the network, make the plan, follow the course. Raises what these do."""
    with TemporaryDirectory() as folder:
        tell(f"timing {network}")
        plan = planned(timed(network), rates, share, tell)
        plan.save(Path(folder, "plan.json"))
        choice = Choice.of(plan)
        few = tuple(tuple(one.x1 for one in choice.different()
                          if one.latency_s(rate) > FAR * min(other.latency_s(rate) for other in choice.different()))
                    for rate in rates)  # fmt: skip
        with ServerProcess(Path(folder, "server.log")) as server:
            course = Course(str(Path(folder, "plan.json")), server.address, tuple(rates), images, few)
            tell("both sides build the network")
            told, had = follow("lmos.bench.adapting.course", asdict(course), share, Path(folder), tell)
    report = RunReport.from_dict(told["report"], "the run")
    return Outcome(tuple(_step(k, rate, images, report, told["fixed"]) for k, rate in enumerate(rates)), report, had)


def planned(profile: NetworkProfile, rates: Sequence[float], share: float, tell: Callable[[str], None]) -> Plan:
    """A plan of a network that was timed here for the first rate, with a policy over all of them."""
    instance = tried(profile, share, tell).instance(rates[0])
    policy = bandwidth_policy(instance, "min_latency", min(rates) / 2, max(rates) * 2)
    setting = Setting.of(instance, edge=f"local, {share:g} of a processor", server="local", rule="min_latency")
    first = policy.at(rates[0]).edge_layers or cut(instance, 0)
    return make_plan(instance, first, setting=setting, profile=profile).model_copy(update={"policy": policy})


def timed(network: str) -> NetworkProfile:
    """The profile of a network with this machine's times, of one thread."""
    builder = f"torchvision:{network}"
    return time_profile(make_profile(builder, weights_of(builder, None), "module", _INPUT), 1)


@dataclass(frozen=True)
class SlowEdge:
    """An edge that has a share of a processor, tried out: all of the network's times there, image by image, and what exchanges
    took it beyond bytes over rate (s)."""

    profile: NetworkProfile
    share: float
    edge_s: tuple[float, ...]
    exchange_s: tuple[float, ...]

    @property
    def spread(self) -> tuple[float, ...]:
        """The edge's times beside their median."""
        return tuple(one / median(self.edge_s) for one in self.edge_s)

    def instance(self, bandwidth: float) -> Instance:
        """The instance whose edge is this one: layers take as much longer there as all of them together did."""
        here = Instance.from_profile(self.profile, edge="local", server="local", bandwidth=bandwidth, rtt=median(self.exchange_s))
        longer = median(self.edge_s) / fsum(layer.t_edge_s for layer in here.layers)
        return here.replace(layers=[{**layer.model_dump(), "t_edge_s": layer.t_edge_s * longer} for layer in here.layers])


def tried(profile: NetworkProfile, share: float, tell: Callable[[str], None] = lambda what: None) -> SlowEdge:
    """What an edge that has a share of a processor makes of a network that was timed here. RunnerError if it ends early."""
    tell(f"trying {profile.name} with {share:.3g} of a processor")
    instance = Instance.from_profile(profile, edge="local", server="local")
    setting = Setting.of(instance, edge="local", server="local", rule="ECO")
    with TemporaryDirectory() as folder, ServerProcess(Path(folder, "server.log")) as server:
        files = [str(Path(folder, f"{name}.json")) for name in ("edge", "server")]
        for file, x1 in zip(files, (len(instance.layers), 0), strict=True):
            make_plan(instance, cut(instance, x1), setting=setting, profile=profile).save(file)
        trial = Trial(files[0], files[1], server.address, _TRIED)
        found, _ = follow("lmos.bench.adapting.trial", asdict(trial), share, Path(folder), lambda what: None)
    return SlowEdge(profile, share, tuple(found["edge_s"]), tuple(found["exchange_s"]))


def follow(module: str, course: Mapping[str, Any], share: float, folder: Path,
           tell: Callable[[str], None]) -> tuple[dict[str, Any], float]:  # fmt: skip
    """What the edge's process says of a course, and the share of the time that it had. RunnerError if it ends early."""
    file = folder / "course.json"
    file.write_text(json.dumps(course))
    command = [sys.executable, "-m", module, str(file)]
    with (folder / "edge.log").open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors,
                                                                    text=True) as edge:  # fmt: skip
        assert edge.stdout is not None
        try:
            if edge.stdout.readline().strip() == BEGAN:
                tell("running")
                with Slowed(edge.pid, share) as held:
                    edge.stdout.readline()  # the end
                if edge.wait() == 0:
                    return json.loads(found_at(file).read_text()), held.had
        finally:
            edge.kill()
    raise RunnerError("the edge", f"ended early: {(folder / 'edge.log').read_text().strip()[-300:]}")


def _step(k: int, rate: float, images: int, report: RunReport, fixed: dict[str, list[list[float]]]) -> Step:
    first, last = k * images + 1, (k + 1) * images
    adaptive = [image.latency_s for image in report.per_image[first - 1 : last]]
    changes = sum(first <= change.at_image <= last for change in report.adaptation)
    return Step(rate, images, fmean(adaptive), {int(x1): fmean(steps[k]) for x1, steps in fixed.items()}, changes)
