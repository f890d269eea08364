"""Server parts on an engine: outputs beside the processor's, times beside the predictions."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.plan import Setting, make_plan
from lmos_opt.profile import NetworkProfile
from measurement.engines import Engine, get, worst_error
from measurement.engines.devices import TorchDevice, tensors_in
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.timing.on_engine import time_on
from measurement.tracing import TracedNetwork, trace_network
from runner.errors import RunnerError
from runner.parts.computed import compute_s, computed_on
from runner.parts.network import flat_outputs
from runner.parts.split import split_traced
from runner.places.edge import run_plan
from runner.wire.connecting import parse_address

NETWORKS = ("squeezenet1_1", "mobilenet_v2", "resnet50", "densenet121", "vgg19")
CUTS = (0.02, 0.3, 0.7)
"""How far into the network the cuts are, as shares of its layers; a cut of 0 layers sends the picture."""
_IMAGES = 20
_WHOLE = 20
_STARTS_S = 120.0


@dataclass(frozen=True)
class EngineCut:
    """One cut: the tail's time as predicted and as the server measured it (s, medians), and the largest difference of the network's
    output from the processor's, relative to its largest number."""

    network: str
    cut: int
    layers: int
    predicted_s: float
    measured_s: float
    error: float

    @property
    def miss(self) -> float:
        """How far the measured time is from the predicted one, as a share of the measured one."""
        return abs(self.predicted_s - self.measured_s) / self.measured_s


@dataclass(frozen=True)
class EngineWhole:
    """A whole network on the engine's device: as the engine runs it, and called as it is (s, medians)."""

    network: str
    part_s: float
    called_s: float


def survey(name: str, engine: TorchDevice, address: str, tell: Callable[[str], None]) -> tuple[EngineWhole, list[EngineCut]]:
    """Time a network's layers on the engine, then run three cuts against the server at `address`."""
    tell(f"{name}: building and tracing")
    module = build_network(f"torchvision:{name}", "seeded:0").eval()
    example = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    traced = trace_network(module, example, "module")
    profile = profile_built(f"torchvision:{name}", "seeded:0", module, traced)
    tell(f"{name}: timing layers")
    timed = time_on(profile, traced, example, engine)
    whole = _whole(name, engine, traced, module, example)
    cuts = []
    for share in CUTS:
        count = round(share * len(profile.layers))
        tell(f"{name}: {count} of {len(profile.layers)} layers at the edge")
        cuts.append(_cut(timed, count, traced, module, example, engine, address))
    return whole, cuts


def _whole(name: str, engine: TorchDevice, traced: TracedNetwork, module: torch.nn.Module, example: Tensor) -> EngineWhole:
    _, tail = split_traced(traced, [])
    with torch.inference_mode():
        on_engine = computed_on(engine, tail, tail.incoming.arguments({"input": example}))
        seconds = []
        for _ in range(_WHOLE):
            on_engine({"input": example})
            seconds.append(compute_s(on_engine))
        there, given = module.to(engine.torch_device), example.to(engine.torch_device)
        for _ in range(3):
            there(given)
        called = engine.call_s(lambda: there(given), _WHOLE)
        module.to("cpu")
    return EngineWhole(name, median(seconds), median(called))


def _cut(profile: NetworkProfile, count: int, traced: TracedNetwork, module: torch.nn.Module, example: Tensor, engine: TorchDevice,
         address: str) -> EngineCut:  # fmt: skip
    edge = [layer.name for layer in profile.layers[:count]]
    instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=125e6)
    plan = make_plan(instance, edge, setting=Setting.of(instance, edge="local", server="local", rule=f"cut:{count}"),
                     profile=profile)  # fmt: skip
    report = run_plan(plan, parse_address(address), n=_IMAGES)
    measured = median(image.t_server_s for image in report.per_image if image.finished_at == "plan")
    predicted = plan.predicted["t_server_s"]
    head, tail = split_traced(traced, edge)
    with torch.inference_mode():
        crossing = head(example)
        wanted = tensors_in(flat_outputs(module(example)))
        found = tensors_in(computed_on(engine, tail, crossing).made(crossing))
    return EngineCut(profile.name, count, len(profile.layers), predicted, measured, worst_error(found, wanted))


@contextmanager
def engine_server(engine: Engine) -> Iterator[str]:
    """A server process that computes on the engine; its address. RunnerError where it does not start."""
    command = [sys.executable, "-m", "lmos", "serve", "--listen", "127.0.0.1:0", "--engine", engine.name, "--precision",
               engine.precision]  # fmt: skip
    with TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            try:
                yield _address(log, process)
            finally:
                process.terminate()
                process.wait(30)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _STARTS_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on ([\d.]+:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RunnerError("the server", f"did not start: {log.read_text().strip()}")


def surveyed(names: Sequence[str], engine_name: str, precision: str,
             tell: Callable[[str], None]) -> tuple[list[EngineWhole], list[EngineCut]]:  # fmt: skip
    """`survey` of several networks, over one server."""
    engine = get(engine_name, precision)
    if not isinstance(engine, TorchDevice):
        raise InputError("--engine", f"{engine_name} has no device of its own to compare with the processor")
    wholes, cuts = [], []
    with engine_server(engine) as address:
        for name in names:
            whole, found = survey(name, engine, address, tell)
            wholes.append(whole)
            cuts.extend(found)
    return wholes, cuts
