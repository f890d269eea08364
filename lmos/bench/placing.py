"""Plans over several places, each a process of this machine, with shaped loopback between them: are outputs the network's own, do
latencies come as predicted, and does a pipeline go as fast as its slowest stage."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from lmos.bench.faults.stage import serving
from lmos.bench.pipelining import LEAST_SHARE, run_undisturbed, steady_images_per_s
from lmos.profiles import make_profile, time_profile, weights_of
from lmos_opt.device import LOCAL
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import baseline
from lmos_opt.split import Split
from lmos_opt.tensors import only_input
from lmos_opt.units import counted
from measurement.networks import build_network
from measurement.processor import processors
from measurement.timing import torch_threads
from measurement.tracing import trace
from measurement.tracing.calls import call, random_input
from runner.client.pipeline import depth_for
from runner.errors import RunnerError
from runner.parts.network import flat_outputs
from runner.places.connect import connect

NETWORKS = ("squeezenet1_1", "resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "googlenet", "mnasnet0_5",
            "efficientnet_b0", "regnet_y_400mf", "alexnet")  # fmt: skip
_SIDE = 224
MOST_OFF = 0.1
"""Of a predicted latency, in the median: what this project holds itself to."""


@dataclass(frozen=True)
class Equality:
    """A network's cuts whose outputs were compared with the whole network's, bit for bit, and those that differed."""

    network: str
    n_places: int
    cuts: int
    differing: tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """One cut: its stages as predicted and in the median as measured (s), one image after another, and how fast a pipeline was."""

    network: str
    rule: str
    rates: tuple[str, ...]
    images: int
    predicted: dict[str, float]
    measured: dict[str, float]
    images_per_s: float

    @property
    def error(self) -> float:
        """The latency's relative error: 0.1 is a prediction that is a tenth too high."""
        return self.predicted["latency_s"] / self.measured["latency_s"] - 1

    @property
    def slowest(self) -> str:
        """The stage that takes longest alone."""
        return max((stage for stage in self.measured if stage != "latency_s"), key=lambda stage: self.measured[stage])

    @property
    def reachable(self) -> float:
        """The share that the machine's processors allow, which all places have together here and none shares on a real path."""
        alone_s = sum(t_s for stage, t_s in self.measured.items() if stage.startswith("t_place_"))
        return min(1.0, self.measured[self.slowest] * processors() / alone_s) if alone_s else 1.0

    @property
    def share(self) -> float:
        """The pipeline's throughput over what its slowest stage alone allows."""
        return self.images_per_s * self.measured[self.slowest]


def is_as_promised(equal: Sequence[Equality], placed: Sequence[Placed]) -> bool:
    """Whether no output differs, latencies are off by MOST_OFF at most in the median, and pipelines reach LEAST_SHARE."""
    off = median(abs(one.error) for one in placed) if placed else 0.0
    return not any(one.differing for one in equal) and off <= MOST_OFF and all(one.share >= LEAST_SHARE for one in placed)


@contextmanager
def servers(folder: Path, rates: Sequence[str | None]) -> Iterator[str]:
    """`lmos serve` for each place but the first, the last one first; where the nearest listens. `rates` are those of the hops from
    the second on."""
    with ExitStack() as stack:
        onward: list[object] = []
        for hop in range(len(rates), -1, -1):
            address, _ = stack.enter_context(serving(folder / f"place{hop + 2}.log", ["--threads", 1, *onward]))
            rate = rates[hop - 1] if hop else None
            onward = ["--next", address, *(["--next-shape", rate] if rate is not None else [])]
        yield str(address)


def equality(network: str, n_places: int, cuts: int, seed: int, tell: Callable[[str], None] = lambda what: None) -> Equality:
    """Compare random cuts of a network over so many processes with the network itself; one thread each, for the same bits."""
    profile, rng, differing = _profile(network), random.Random(seed), []
    with torch_threads(1):
        whole = _Whole(profile)
        with TemporaryDirectory() as folder, servers(Path(folder), [None] * (n_places - 2)) as address:
            for k in range(cuts):
                tell(f"{network}: cut {k + 1} of {cuts} over {n_places} places")
                numbers = sorted(rng.randint(0, len(profile.layers)) for _ in range(n_places - 1))
                rule = f"cut:{','.join(map(str, numbers))}"
                if not whole.is_given_by(_plan(profile, rule, ["1Gbps"] * (n_places - 1)), address):
                    differing.append(rule)
    return Equality(network, n_places, cuts, tuple(differing))


def placed(profile: NetworkProfile, rule: str, rates: Sequence[str], images: int, folder: Path) -> Placed:
    """Run a cut of a timed network over hops of these rates, one image after another and pipelined."""
    plan = _plan(profile, rule, rates)
    plan.save(folder / "plan.json")
    with servers(folder, rates[1:]) as address:
        alone = run_undisturbed(folder, address, images, rates[0])
        pipelined = run_undisturbed(folder, address, 2 * images, rates[0], "--pipeline")
    stages = [stage for stage in plan.stages if stage.endswith("_s")]
    ends_s = [(image.began_s or 0.0) + image.latency_s for image in pipelined.per_image]
    return Placed(profile.name, rule, tuple(rates), images, {stage: float(plan.predicted[stage]) for stage in stages},
                  {stage: alone.measured[stage].p50 for stage in stages},
                  steady_images_per_s(ends_s, depth_for(plan.n_places)))  # fmt: skip


def timed(network: str) -> NetworkProfile:
    """The network's profile with this machine's times, of one thread."""
    return time_profile(_profile(network), threads=1)


def thirds(profile: NetworkProfile, n_places: int) -> str:
    """The rule that gives each place as many layers as the others."""
    return f"cut:{','.join(str(round(p * len(profile.layers) / n_places)) for p in range(1, n_places))}"


def _profile(network: str) -> NetworkProfile:
    builder = f"torchvision:{network}"
    return make_profile(builder, weights_of(builder, None), "module", (3, _SIDE, _SIDE))


def _plan(profile: NetworkProfile, rule: str, rates: Sequence[str]) -> Plan:
    path = "".join(f"{LOCAL} > {rate} > " for rate in rates) + LOCAL
    if not profile.is_timed:
        path = path.replace(LOCAL, "rpi4")
    instance = Instance.from_profile(profile, path=path)
    split = baseline(instance, rule)
    assert isinstance(split, Split)
    setting = Setting.of(instance, edge="", server="", rule=rule)
    return make_plan(instance, split.edge_layers, later_layers=split.places[1:], setting=setting, profile=profile)


class _Whole:
    """A network that is built and traced once, and what it makes of an input."""

    @torch.inference_mode()
    def __init__(self, profile: NetworkProfile) -> None:
        source = profile.network
        assert source is not None
        module = build_network(source.builder, source.weights)
        self._example = random_input(only_input(profile), 0)
        self._traced = trace(module, self._example, granularity=profile.granularity)
        self._expected = flat_outputs(call(module, self._example))

    @torch.inference_mode()
    def is_given_by(self, plan: Plan, address: str) -> bool:
        """Whether the plan's places together give the same, bit for bit."""
        with connect(plan, address, module=self._traced) as split:
            found = flat_outputs(split(self._example))
            report = split.report()
        if report.fallbacks or report.retries:
            raise RunnerError(address, f"{counted(report.fallbacks, 'image')} did not come back")
        expected = self._expected
        return found.keys() == expected.keys() and all(torch.equal(found[path], tensor) for path, tensor in expected.items())
