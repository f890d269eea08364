"""What a wrong prediction costs: the latency of the cut that would be chosen, over that of the best cut there is, both measured.

All cuts of a network run against one server process, image by image in turns, so that whatever else the machine does meanwhile
meets all of them alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import nn

from lmos.loopback import server_process
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, PlannedNetwork, Setting, check_runnable, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import cut
from measurement.networks import build_network
from measurement.tracing import TracedNetwork, trace_network
from runner.client.pipeline import Pipeline, Route
from runner.client.reaching import reach
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.errors import RunnerError
from runner.images import Images, find_images
from runner.memory import settled
from runner.parts.split import split_traced
from runner.wire.connecting import parse_address
from runner.wire.shaping import Pacer, parse_shape
from runner.wire.timeouts import PATIENT

MOST_MEDIAN, MOST_WORST = 1.05, 1.15
"""What is asked of regrets over the networks."""
AGAIN = 4
_AT_ONCE = 8
"""Cuts whose connections are open together: the server takes 16, and keeps each one's tail."""


@dataclass(frozen=True)
class Regret:
    """One network: predicted and measured latency (s) of every cut by its number of edge layers."""

    network: str
    predicted_s: dict[int, float]
    measured_s: dict[int, float]

    @property
    def chosen(self) -> int:
        """The cut of the least predicted latency."""
        return min(self.predicted_s, key=self.predicted_s.__getitem__)

    @property
    def best(self) -> int:
        """The cut of the least measured latency."""
        return min(self.measured_s, key=self.measured_s.__getitem__)

    @property
    def ratio(self) -> float:
        """The chosen cut's measured latency over the best one's: 1 where nothing is lost."""
        return self.measured_s[self.chosen] / self.measured_s[self.best]


def regret(profile: NetworkProfile, bandwidth: str, images: int, tell: Callable[[str], None] = lambda what: None) -> Regret:
    """Every cut of a timed network: `images` through each in turns, after one that warms it up. The cuts whose measured latency is
    within a tenth of the least, and the chosen one, are measured once more, together, with AGAIN times as many images: the least of
    many medians is a lucky one. RunnerError if an image fails."""
    instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=bandwidth)
    plans = {x1: _plan(instance, profile, x1) for x1 in range(len(profile.layers) + 1)}
    predicted = {x1: float(plan.predicted["latency_s"]) for x1, plan in plans.items()}
    assert profile.network is not None
    module = build_network(profile.network.builder, profile.network.weights, allow_code=True)
    network = check_runnable(next(iter(plans.values())), profile.name)
    pictures = find_images(network, None)
    traced = trace_network(module, pictures.load(0), profile.granularity)
    with TemporaryDirectory() as folder, server_process(Path(folder) / "server.log") as address, settled():
        runs = _Runs(traced, address, bandwidth, network, pictures, images)
        cuts = list(plans)
        groups = [cuts[k :: -(-len(cuts) // _AT_ONCE)] for k in range(-(-len(cuts) // _AT_ONCE))]
        measured: dict[int, float] = {}
        for k, group in enumerate(groups, 1):
            tell(f"{profile.name}: cuts, group {k} of {len(groups)}")
            measured |= runs.measure({x1: plans[x1] for x1 in group})
        first = Regret(profile.name, predicted, measured)
        near = sorted(measured, key=measured.__getitem__)
        close = [x1 for x1 in near[: _AT_ONCE - 1] if measured[x1] <= 1.1 * measured[first.best]]
        tell(f"{profile.name}: the best cuts again")
        again = runs.measure({x1: plans[x1] for x1 in {*close, first.chosen}}, AGAIN)
    return Regret(profile.name, predicted, {**{x1: max(t_s, min(again.values())) for x1, t_s in measured.items()}, **again})


def _plan(instance: Instance, profile: NetworkProfile, x1: int) -> Plan:
    setting = Setting.of(instance, edge="local", server="local", rule=f"cut:{x1}")
    return make_plan(instance, cut(instance, x1), setting=setting, profile=profile)


@dataclass(frozen=True)
class _Runs:
    """What all cuts of a network share."""

    traced: TracedNetwork
    address: str
    bandwidth: str
    network: PlannedNetwork
    pictures: Images
    images: int

    def measure(self, plans: dict[int, Plan], times: int = 1) -> dict[int, float]:
        """The median latency (s) of each cut over `times` as many images, the cuts in turns in an order that is drawn again each
        time."""
        found: dict[int, list[float]] = {x1: [] for x1 in plans}
        with ExitStack() as stack, torch.inference_mode():
            ready = [(x1, self._pipeline(stack, plan)) for x1, plan in plans.items()]
            drawn = random.Random(0)
            for k in range(times * self.images + 1):
                drawn.shuffle(ready)
                for x1, pipeline in ready:
                    pipeline.run(self.pictures, 1)
                    if pipeline.failed:
                        raise RunnerError(self.network.name, pipeline.failed[0].reason)
                    latency_s = pipeline.results.pop().latency_s
                    if k:
                        found[x1].append(latency_s)
        return {x1: median(times) for x1, times in found.items()}

    def _pipeline(self, stack: ExitStack, plan: Plan) -> Pipeline:
        if not plan.offloads:
            return Pipeline(Route(self.traced.module, None, None), (), PATIENT)
        head: nn.Module
        head, _ = split_traced(self.traced, plan.edge_layers)
        link = Pacer(parse_shape(self.bandwidth))
        connection = ServerConnection(parse_address(self.address), opening(plan, self.network), link, PATIENT)
        stack.callback(connection.close, politely=True)
        reach(connection, "is_open", PATIENT, may_fail=False)
        return Pipeline(Route(head, connection, None), (), PATIENT)


def worst(regrets: Sequence[Regret]) -> float:
    """The largest."""
    return max(one.ratio for one in regrets)


def middle(regrets: Sequence[Regret]) -> float:
    """Their median."""
    return median(one.ratio for one in regrets)
