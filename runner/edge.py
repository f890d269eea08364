"""The edge's side: builds the plan's network, keeps the head, sends what crosses, and measures every stage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, PlannedNetwork, check_runnable
from lmos_opt.profile import TensorSpec
from measurement.labels import imagenet_classes
from runner.errors import ConnectionLost
from runner.images import Images, find_images
from runner.machine import this_machine
from runner.memory import PeakMemory, release, resident_bytes
from runner.network import (
    build,
    class_of,
    example_input,
    flat_outputs,
    is_torchvision,
    logits_of,
    trace_checked,
)
from runner.remote import PATIENT, Answer, Remote, Timeouts
from runner.report import Environment, ImageResult, RunReport, make_report
from runner.shaping import Shape
from runner.split import split_module, split_traced

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many images are done, and of how many."""
MEMORY_RUNS = 3


def run_plan(
    plan: Plan,
    server: tuple[str, int],
    *,
    images: Path | None = None,
    n: int | None = None,
    shape: Shape | None = None,
    networks: Sequence[str] = (),
    weights_file: Path | None = None,
    threads: int | None = None,
    timeouts: Timeouts = PATIENT,
    progress: Progress | None = None,
) -> RunReport:
    """Execute a plan on `n` images (default: each picture once), one after another, and report what was measured.

    `images` is a folder of pictures (default: the bundled ones), `shape` the link's emulation, `networks` the
    `package.module:callable` that may run here beside torchvision's models, `weights_file` the state dict in place of
    the plan's `file:PATH`. The server is not contacted where the plan leaves it nothing to do.
    Raises InputError for a plan or pictures that cannot be used, RunnerError where the run failed: then there is no
    report at all.
    """
    network = check_runnable(plan, "plan")
    weights = _weights(network.weights, weights_file)
    if n is not None and n < 1:
        raise InputError("images", f"{n} images cannot be run; expected at least 1")
    pictures = find_images(network, images, n)
    n = len(pictures) if n is None else n
    tell = progress or (lambda what, done, total: None)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with _torch_threads(threads):
        baseline = _interpreter_bytes()
        with Remote(server, shape, timeouts) if plan.x2 else contextlib.nullcontext() as remote:
            if remote:
                remote.open(plan, network)
            tell(f"building {network.builder}", 0, n)
            head = _build_head(plan, network, weights, networks)
            if remote:
                tell("waiting for the server", 0, n)
                remote.wait_until_ready()
            memory = _edge_memory(head, pictures, baseline)
            results = _run(_Stages(head, remote, _class_names(network)), pictures, n, tell)
        environment = Environment(
            started=started,
            edge=this_machine(torch.get_num_threads()),
            server=remote.machine if remote else None,
            server_address=remote.name if remote else None,
            shape=str(shape) if shape and remote else None,
            weights=_about(network.weights),
            seed=_seed(network.weights),
            images=pictures.what,
        )
    return make_report(plan, results, memory, environment)


def _run(stages: _Stages, pictures: Images, n: int, tell: Progress) -> list[ImageResult]:
    """The first image once uncounted, on both sides; then n images, the pictures over and over."""
    results: list[ImageResult] = []
    tell("warming up", 0, n)
    try:
        stages.run(0, pictures.names[0], pictures.load(0))
        for k in range(n):
            which = k % len(pictures)
            results.append(stages.run(k + 1, pictures.names[which], pictures.load(which)))
            tell("running", k + 1, n)
    except ConnectionLost as lost:
        raise ConnectionLost(lost.where, f"{lost.message}; {len(results)} of {n} images were done") from None
    return results


@dataclass(frozen=True)
class _Stages:
    """One image through head, exchange and tail. Without a `remote`, the head is the whole network."""

    head: nn.Module
    remote: Remote | None
    class_names: Sequence[str]

    @torch.inference_mode()
    def run(self, number: int, name: str, image: Tensor) -> ImageResult:
        begin = time.perf_counter()
        crossing = self.head(image)
        t_edge_s = time.perf_counter() - begin
        answer = self.remote.infer(number, crossing) if self.remote else Answer(flat_outputs(crossing), 0.0, 0.0)
        found = class_of(answer.outputs)
        latency_s = time.perf_counter() - begin
        known = len(self.class_names) == logits_of(answer.outputs).numel()
        return ImageResult(
            file=name,
            class_=found,
            class_name=self.class_names[found] if known else None,
            t_edge_s=t_edge_s,
            t_tx_s=answer.exchange_s - answer.t_server_s,
            t_server_s=answer.t_server_s,
            latency_s=latency_s,
        )


@torch.inference_mode()
def _edge_memory(head: nn.Module, pictures: Images, baseline: int) -> list[int]:
    """The most memory above `baseline` (B) while the head runs, for a few images.

    Apart from the timed runs: free memory must go back to the system before each, and fetching it again would make the
    head slower (VGG16's first 10 layers by a quarter).
    """
    found = []
    for k in range(MEMORY_RUNS):
        image = pictures.load(k % len(pictures))
        release()
        with PeakMemory() as peak:
            head(image)
        found.append(max(peak.bytes - baseline, 0))
    return found


def _build_head(plan: Plan, network: PlannedNetwork, weights: str, networks: Sequence[str]) -> nn.Module:
    """The head alone, its network checked; the tail's weights are given back to the system."""
    module = build(network.builder, weights, networks)
    traced = trace_checked(network.builder, module, network, network.input, network.granularity)
    if plan.x2 == 0:
        return module
    return split_traced(traced, plan.edge_layers)[0]


def _interpreter_bytes() -> int:
    """Resident memory of the interpreter, torch and everything that a run calls, before any network is there."""
    tiny = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    spec = TensorSpec(shape=(1, 3, 16, 16), dtype="float32")
    head, tail = split_module(tiny, ["0"], example_input(spec))
    with torch.inference_mode():
        tail(head(example_input(spec)))
    del tiny, head, tail
    release()
    return resident_bytes()


@contextlib.contextmanager
def _torch_threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _weights(planned: str, file: Path | None) -> str:
    if file is None:
        return planned
    if not planned.startswith("file:"):
        raise InputError(str(file), f"the plan's weights are {planned}, not those of a file")
    return f"file:{file}"


def _class_names(network: PlannedNetwork) -> Sequence[str]:
    """ImageNet's, for trained classifiers of torchvision; random weights have no classes."""
    trained = is_torchvision(network.builder) and not network.weights.startswith("seeded:")
    return imagenet_classes() if trained else ()


def _seed(weights: str) -> int | None:
    kind, _, value = weights.partition(":")
    return int(value) if kind == "seeded" else None


def _about(weights: str) -> str:
    if weights.startswith("seeded:"):
        return f"{weights}: random numbers, so the classes mean nothing"
    return f"{weights}: trained"
