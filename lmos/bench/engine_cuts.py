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

from lmos.whole_runs import whole_run
from lmos_opt.instance import Instance
from lmos_opt.plan import Setting, make_plan
from lmos_opt.profile import NetworkProfile
from measurement.engines import Engine, get, worst_error
from measurement.engines.devices import TorchDevice, tensors_in
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.timing.on_engine import PAUSE_S, time_on
from measurement.tracing import TracedNetwork, trace_network
from runner.errors import RunnerError
from runner.parts.computed import compute_s, computed_on
from runner.parts.network import flat_outputs
from runner.parts.split import split_traced
from runner.wire.connecting import parse_address

NETWORKS = ("squeezenet1_1", "mobilenet_v2", "resnet50", "densenet121", "vgg19")
CUTS = (0.02, 0.3, 0.7)
"""How far into the network the cuts are, as shares of its layers; a cut of 0 layers sends the picture."""
_IMAGES = 20
_WHOLE = 20
_STARTS_S = 120.0


@dataclass(frozen=True)
class EngineCut:
    """One cut: the tail's time as predicted and as the server measured it (s, medians), the largest difference of the network's
    output from the processor's, relative to its largest number, and what the report says of the server's engine."""

    network: str
    cut: int
    layers: int
    predicted_s: float
    measured_s: float
    error: float
    engine: str

    @property
    def miss(self) -> float:
        """How far the measured time is from the predicted one, as a share of the measured one."""
        return abs(self.predicted_s - self.measured_s) / self.measured_s


@dataclass(frozen=True)
class EngineWhole:
    """A whole network in a precision: as the engine runs it, and in float32 as torch does there where it is called as it is (s,
    medians); the largest difference of the outputs, relative to their largest number."""

    network: str
    precision: str
    part_s: float
    called_s: float
    error: float


@dataclass(frozen=True)
class _Built:
    """A network, what it was traced to, and an input."""

    name: str
    module: torch.nn.Module
    traced: TracedNetwork
    example: Tensor

    @classmethod
    def of(cls, name: str) -> _Built:
        module = build_network(f"torchvision:{name}", "seeded:0").eval()
        example = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        return cls(name, module, trace_network(module, example, "module"), example)


def survey(name: str, engine: Engine, others: Sequence[Engine], address: str,
           tell: Callable[[str], None]) -> tuple[list[EngineWhole], list[EngineCut]]:  # fmt: skip
    """Time a network's layers on the engine, run three cuts against the server at `address`, and the whole in `others` too."""
    tell(f"{name}: building and tracing")
    built = _Built.of(name)
    profile = profile_built(f"torchvision:{name}", "seeded:0", built.module, built.traced)
    tell(f"{name}: timing layers")
    timed = time_on(profile, built.traced, built.example, engine)
    wholes = [_whole(built, one) for one in (*others, engine)]
    cuts = []
    for share in CUTS:
        count = round(share * len(profile.layers))
        tell(f"{name}: {count} of {len(profile.layers)} layers at the edge")
        cuts.append(_cut(built, timed, count, engine, address))
    return [wholes[-1], *wholes[:-1]], cuts


def _whole(built: _Built, engine: Engine) -> EngineWhole:
    engine.check()  # torch has one switch for TF32, and each engine sets it here
    _, tail = split_traced(built.traced, [])
    device = engine.torch_device if isinstance(engine, TorchDevice) else torch.device("cpu")
    with torch.inference_mode():
        wanted = tensors_in(flat_outputs(built.module(built.example)))
        given = {"input": built.example}
        on_engine = computed_on(engine, tail, tail.incoming.arguments(given))
        seconds = []
        for _ in range(_WHOLE):
            time.sleep(PAUSE_S)
            found = tensors_in(on_engine.made(given))
            seconds.append(compute_s(on_engine))
        get(engine.name)  # which allows no TF32
        there, picture = built.module.to(device), built.example.to(device)
        for _ in range(3):
            there(picture)
        called = engine.call_s(lambda: there(picture), _WHOLE)
        built.module.to("cpu")
    engine.check()
    return EngineWhole(built.name, engine.precision, median(seconds), median(called), worst_error(found, wanted))


def _cut(built: _Built, profile: NetworkProfile, count: int, engine: Engine, address: str) -> EngineCut:
    edge = [layer.name for layer in profile.layers[:count]]
    instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=125e6)
    plan = make_plan(instance, edge, setting=Setting.of(instance, edge="local", server="local", rule=f"cut:{count}"),
                     profile=profile)  # fmt: skip
    report = whole_run(plan, parse_address(address), n=_IMAGES)
    measured = median(image.t_server_s for image in report.per_image if image.finished_at == "plan")
    head, tail = split_traced(built.traced, edge)
    with torch.inference_mode():
        crossing = head(built.example)
        wanted = tensors_in(flat_outputs(built.module(built.example)))
        found = tensors_in(computed_on(engine, tail, tail.incoming.arguments(crossing)).made(crossing))
    server = report.environment.server
    return EngineCut(profile.name, count, len(profile.layers), plan.predicted["t_server_s"], measured, worst_error(found, wanted),
                     "" if server is None else server.versions.get("engine", ""))  # fmt: skip


@contextmanager
def engine_server(engine: Engine) -> Iterator[str]:
    """A server process that computes on the engine; its address. RunnerError if it does not start."""
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


def surveyed(names: Sequence[str], engine: Engine, others: Sequence[str],
             tell: Callable[[str], None]) -> tuple[list[EngineWhole], list[EngineCut]]:  # fmt: skip
    """`survey` of several networks, over one server. InputError for a precision that the engine does not have."""
    beside = [get(engine.name, precision) for precision in others]
    wholes, cuts = [], []
    with engine_server(engine) as address:
        for name in names:
            whole, found = survey(name, engine, beside, address, tell)
            wholes.extend(whole)
            cuts.extend(found)
    return wholes, cuts
