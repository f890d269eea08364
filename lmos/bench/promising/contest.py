"""The benchmark of promises: a network timed here, plans from the first half of a trace, and one replay of its second half."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from pathlib import Path
from random import Random
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from lmos.bench.adapting.contest import SlowEdge, follow, timed, tried
from lmos.bench.faults.stage import ServerProcess
from lmos.bench.promising.course import Course
from lmos_opt import objectives
from lmos_opt.api import pareto_front
from lmos_opt.device import load_device
from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.front import Point
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.plans.promise import Kept, Promise, keeping
from lmos_opt.policies.policy_maps import bandwidth_policy
from lmos_opt.profile import NetworkProfile
from lmos_opt.scenarios.ordering import whole_weights
from lmos_opt.split import Split
from lmos_opt.traces.loading import load_trace
from lmos_opt.traces.sampling import Drawing, draw_scenarios
from runner.watching.report import RunReport

LEAST_KEPT = 0.93
"""The share of images in which the promise must be kept on the unseen part."""
ROBUST, MEAN, ADAPTS = "for the promise", "for the mean rate", "adapts"
_DRAWS = 600
"""Of the edge's times, shared out among a link's scenarios."""
DRAWING = Drawing(count=300, block_s=10.0, step_s=1.0, worst_of=10)
_ROOM = 1.15
"""A deadline that is not given is at least that much above what the plan for it takes: predictions are off by some percent."""
MOST_SLOWER = 25.0
"""An edge has at least so small a part of the time."""
_POWERS_OF = "rpi4"


@dataclass(frozen=True)
class Asked:
    """The network and what all of it is to take at the edge (s), images of each contestant, the deadline (None: see `deadline`) and
    the confidence."""

    network: str
    edge_s: float
    images: int
    deadline_s: float | None
    confidence: float


@dataclass(frozen=True)
class Contestant:
    """How one fared: layers at the edge (of one that adapts, of its first cut), how often the deadline was kept, the mean energy
    (J) that its stage times and the powers give, and how many images were lost."""

    name: str
    x1: int
    kept: Kept
    median_s: float
    energy_j: float
    lost: int


@dataclass(frozen=True)
class Replay:
    """One trace: its contestants, how long the replay took (s), and how often the one that adapts changed its cut."""

    trace: str
    deadline_s: float
    contestants: tuple[Contestant, ...]
    seconds: float
    changes: int

    @property
    def is_good(self) -> bool:
        """Whether the promise was kept often enough, and nothing lost."""
        robust = next(one for one in self.contestants if one.name == ROBUST)
        return robust.kept.share >= LEAST_KEPT and not any(one.lost for one in self.contestants)


def contest(traces: Sequence[str], asked: Asked, tell: Callable[[str], None] = lambda what: None) -> list[Replay]:
    """Each trace's replay. Raises what its parts do; InputError for an edge that cannot be as slow, or as fast."""
    tell(f"timing {asked.network}")
    bandwidth = load_trace(f"{traces[0]}@train").mean_bytes_per_s
    profile = timed(asked.network)
    here_s = fsum(layer.t_local_s or 0.0 for layer in profile.layers)
    if not here_s <= asked.edge_s <= MOST_SLOWER * here_s:
        raise InputError("--edge", f"{asked.network} takes {here_s:.4g} s on this machine as it is now; expected {here_s:.4g} s to "
                                   f"{MOST_SLOWER * here_s:.4g} s")  # fmt: skip
    edge = tried(profile, here_s / asked.edge_s, tell)
    power = load_device(_POWERS_OF).power
    assert power is not None
    instance = edge.instance(bandwidth).with_place(1, power=power.model_dump())
    return [_replay(name, edge, instance, asked, tell) for name in traces]


def planned(trace: str, instance: Instance, asked: Asked, spread: Sequence[float] = (1.0,)
            ) -> tuple[Instance, Promise, dict[str, Point]]:  # fmt: skip
    """The instance over the scenarios of a trace's first half, each with draws from the `spread` of the edge's times; the promise,
    and the points of the fixed plans."""
    drawn = draw_scenarios(load_trace(f"{trace}@train"), DRAWING)
    draw, times = Random(0), -(-_DRAWS // len(drawn.scenarios))
    scenarios = [{**one.model_dump(), "weight": one.weight / times, "time": [draw.choice(spread), 1.0]}
                 for one in drawn.scenarios for _ in range(times)]  # fmt: skip
    here = instance.replace(bandwidth_bytes_per_s=drawn.bandwidth_bytes_per_s[0], scenarios=scenarios)
    promise = Promise(deadline_s=asked.deadline_s or deadline(here, asked.confidence), confidence=asked.confidence)
    return here, promise, {ROBUST: keeping(here, promise), MEAN: keeping(_at_the_mean(here), promise)}


def deadline(instance: Instance, confidence: float) -> float:
    """The deadline (s) that the plan for the mean rate breaks most often in the scenarios.

    The candidates are deadlines at least _ROOM times as long as the promised time of the plan that keeps them. Of equally good
    ones the shortest is chosen; without any, the longest one.
    """
    promise = Promise(deadline_s=1.0, confidence=confidence)
    front, at_the_mean = (pareto_front(one, promise.objectives(one)) for one in (instance, _at_the_mean(instance)))
    broken = {max(point.values[promise.objective] for point in front.points) * _ROOM: 0.0}
    for one in sorted({point.values[promise.objective] * _ROOM for point in front.points}):
        asked = promise.model_copy(update={"deadline_s": one})
        if asked.chosen(front).values[promise.objective] * _ROOM <= one * (1 + 1e-9):
            broken[one] = _broken(instance, asked.chosen(at_the_mean), one)
    return max(sorted(broken), key=lambda one: broken[one])


def _at_the_mean(instance: Instance) -> Instance:
    return instance.replace(scenarios=[{"weight": 1.0, "bandwidth": [1.0]}])


def _broken(instance: Instance, point: Point, deadline_s: float) -> float:
    """The share of the scenarios' weight in which a point takes longer."""
    latency = objectives.get("latency").value
    assert latency is not None
    split = Split.at(instance, [point.edge_layers or ()])
    weights = whole_weights(instance.scenarios)
    late = [w for w, one in zip(weights, instance.in_scenarios, strict=True) if latency(Split.of(one, split.upto)) > deadline_s]
    return sum(late) / sum(weights)


def _replay(trace: str, edge: SlowEdge, instance: Instance, asked: Asked, tell: Callable[[str], None]) -> Replay:
    tell(f"planning for {trace}")
    here, promise, points = planned(trace, instance, asked, edge.spread)
    plans = {name: _plan(here, point, edge.profile, promise) for name, point in points.items()}
    rates = [here.bandwidth_bytes_per_s * one.bandwidth_of(1) for one in here.scenarios]
    policy = bandwidth_policy(here.replace(scenarios=()), "min_latency", min(rates), max(rates))
    adaptive = plans[ROBUST].model_copy(update={"policy": policy})
    with TemporaryDirectory() as folder:
        files = {name: str(Path(folder, f"{k}.json")) for k, name in enumerate([*plans, ADAPTS])}
        for name, plan in {**plans, ADAPTS: adaptive}.items():
            plan.save(files[name])
        with ServerProcess(Path(folder, "server.log")) as server:
            course = Course({name: files[name] for name in plans}, files[ADAPTS], server.address, f"{trace}@test", asked.images)
            told, _ = follow("lmos.bench.promising.course", asdict(course), edge.share, Path(folder),
                             lambda what: tell(f"{trace}: {what}"))  # fmt: skip
    report = RunReport.from_dict(told["report"], "the run")
    times = {**told["fixed"], ADAPTS: [[one.latency_s, one.t_edge_s, one.t_tx_s, one.t_server_s] for one in report.per_image]}
    times[ADAPTS] += [None] * report.lost
    found = tuple(_contestant(name, (plans | {ADAPTS: adaptive})[name].x1, times[name], promise, here) for name in times)
    return Replay(trace, promise.deadline_s, found, float(told["seconds"]), len(report.adaptation))


def _plan(instance: Instance, point: Point, profile: NetworkProfile, promise: Promise) -> Plan:
    setting = Setting.of(instance, edge="local", server="local", rule=f"budget:{promise.deadline_s}")
    plan = make_plan(instance, point.edge_layers or (), setting=setting, profile=profile, values=dict(point.values))
    return plan.model_copy(update={"promise": promise})


def _contestant(name: str, x1: int, times: Sequence[Sequence[float] | None], promise: Promise, instance: Instance) -> Contestant:
    power: Any = instance.power
    known = [one for one in times if one is not None]
    energy = [power.compute_w * edge + power.transmit_w * way + power.idle_w * server for _, edge, way, server in known]
    latencies = sorted(one[0] for one in known)
    if not latencies:
        raise InfeasibleError(name, ("every image was lost",))
    return Contestant(name, x1, promise.kept_in(latencies, len(times) - len(known)), latencies[len(latencies) // 2], fmean(energy),
                      len(times) - len(known))  # fmt: skip
