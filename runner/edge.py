"""The edge's side: builds the plan's network, keeps the head, runs the images, and reports every stage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, PlannedNetwork, check_runnable
from lmos_opt.profile import TensorSpec
from measurement import codecs
from measurement.labels import imagenet_classes
from runner.comparing import COMPARED, compare
from runner.errors import Unreachable
from runner.events import Events, Observer, RunBegan, RunEnded, shown
from runner.fallback import Fallback, why_not_here
from runner.images import Images, find_images
from runner.line import Line
from runner.loading import load_planned
from runner.machine import this_machine
from runner.memory import PeakMemory, keep_heap, release, resident_bytes
from runner.network import example_input, is_torchvision, outputs_of
from runner.pipeline import PIPELINE_DEPTH, Pipeline, Progress, Route
from runner.recorder import Recorder
from runner.remote import OPEN_DOOR, PATIENT, Access, Timeouts, opening
from runner.report import Environment, RunReport, make_report
from runner.shaping import Shape, as_pacer
from runner.split import split_module, split_traced

ATTEMPTS = 5
"""How often a server that never greeted is tried before the run is given up."""
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
    timeouts: Timeouts | None = None,
    access: Access = OPEN_DOOR,
    pipelined: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
    compared: int = COMPARED,
) -> RunReport:
    """Execute a plan on `n` images (default: each picture once) and report what was measured.

    `images` is a folder of pictures (default: the bundled ones), `shape` the link's emulation, `networks` the
    `package.module:callable` that may run here beside torchvision's models, `weights_file` the state dict in place of
    the plan's `file:PATH`, `access` what the server wants to see. One image after another, or `pipelined`. `observers` are
    told what happens (`runner.events`). Under a codec, `compared` pictures are asked once more after the run, and once without
    it. The server is not contacted where the plan leaves it nothing to do.

    Raises InputError for a plan or pictures that cannot be used, RunnerError where the server cannot be reached or refuses
    before the first image. From then on every image has an end in the report, and KeyboardInterrupt ends the run early
    with a report that says so.
    """
    network = check_runnable(plan, "plan")
    weights = _weights(network.weights, weights_file)
    if n is not None and n < 1:
        raise InputError("images", f"{n} images cannot be run; expected at least 1")
    timeouts = timeouts or patient_with(plan)
    codecs.get(plan.codec).check_crossing(tensor.name for tensor in plan.crossing)
    pictures = find_images(network, images, n)
    n = len(pictures) if n is None else n
    tell = progress or (lambda what, done, total: None)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    recorder = Recorder()
    events = Events([recorder, *observers])
    link = as_pacer(shape)
    line = Line(server, opening(plan, network), link, timeouts, access, events=events) if plan.x2 else None
    interrupted = False
    with _torch_threads(threads):
        baseline = _interpreter_bytes()
        try:
            if line is not None:
                _reach(line, lambda: line.is_asked, timeouts, may_fail=True)
            tell(f"building {network.builder}", 0, n)
            head, refusal = _build_head(plan, network, weights, networks, line)
            fallback = Fallback(plan, network, weights, networks, refusal)
            if line is not None:
                tell("waiting for the server", 0, n)
                _reach(line, lambda: line.is_open, timeouts, may_fail=refusal is None)
            memory = _edge_memory(head, pictures, baseline)
            keep_heap()  # not before: it would blur what the head needs
            tell("warming up", 0, n)
            pipeline = Pipeline(Route(head, line, fallback), _class_names(network), timeouts, events)
            pipeline.warm_up(pictures)
            events.tell(RunBegan(network=network.name, digest=shown(network.digest), cut=plan.x1, images=n,
                                 peer=line.name if line else None, pipelined=pipelined))  # fmt: skip
            begin = time.perf_counter()
            if link is not None:
                link.start()
            try:
                pipeline.run(pictures, range(1, n + 1), PIPELINE_DEPTH if pipelined else 1, tell)
            except KeyboardInterrupt:
                interrupted = True
            elapsed_s = time.perf_counter() - begin
            beside = None if interrupted else compare(line, head, pictures, compared, n + 1, timeouts)
        finally:
            if line is not None:
                line.close(politely=not interrupted)
        environment = Environment(
            started=started,
            edge=this_machine(torch.get_num_threads()),
            server=line.machine if line else None,
            server_address=line.name if line else None,
            shape=str(shape) if shape and line else None,
            weights=_about(network.weights),
            seed=_seed(network.weights),
            images=pictures.what,
        )
    report = make_report(plan, pipeline.results, memory, environment, failed=pipeline.failed, pipelined=pipelined,
                         elapsed_s=elapsed_s, reason="interrupted" if interrupted else None,
                         happened=recorder.since(begin), compared=beside)  # fmt: skip
    events.tell(RunEnded(images=report.images, lost=report.lost, fallbacks=report.fallbacks, retries=report.retries,
                         elapsed_s=elapsed_s, reason=report.reason))  # fmt: skip
    return report


def patient_with(plan: Plan) -> Timeouts:
    """The timeouts for a plan: an image may take ten times what is predicted, and half a minute in any case."""
    return replace(PATIENT, result_s=max(PATIENT.result_s, 10 * float(plan.predicted["latency_s"])))


def _reach(line: Line, done: Callable[[], bool], timeouts: Timeouts, may_fail: bool = False) -> None:
    """Return when the server has come so far, or, if it `may_fail` and did greet, without it after `result_s`.

    Before anything is done, a server that is not there or refuses is most likely not the one that was meant.
    """
    end = time.monotonic() + timeouts.result_s
    while not done():
        line.step(timeouts.heartbeat_s)
        if line.refused is not None:
            raise line.refused
        failure = line.first_failure
        if failure is None or line.is_asked:
            continue
        if not line.was_greeted and (line.failures >= ATTEMPTS or isinstance(line.last_failure, Unreachable)):
            raise failure
        if time.monotonic() > end:
            if may_fail and line.was_greeted:
                return
            raise failure


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


def _build_head(plan: Plan, network: PlannedNetwork, weights: str, networks: Sequence[str],
                line: Line | None) -> tuple[nn.Module, str | None]:  # fmt: skip
    """The head, its network checked, no weight of the tail ever in memory; and why the tail may not run here, if so.

    The line learns what answers must look like.
    """
    loaded = load_planned(network, weights, networks)
    if line is not None:
        line.expected = outputs_of(loaded.traced)
    head = split_traced(loaded.traced, plan.edge_layers)[0] if plan.x2 else loaded.module
    loaded.fill(head)
    return head, why_not_here(plan, loaded.traced) if plan.x2 else None


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
