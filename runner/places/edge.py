"""The edge's side: builds the plan's network, keeps the head, runs the images, and reports every stage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, PlannedNetwork, check_runnable, check_sendable
from lmos_opt.units import counted
from measurement import codecs
from measurement.networks.labels import imagenet_classes
from measurement.networks.preprocessing import preprocessing_of
from measurement.timing import torch_threads
from runner.adaptation.cuts import Choice, plans_of
from runner.adaptation.scout import Scout
from runner.adaptation.steering import Steering
from runner.client.line import Line
from runner.client.pipeline import PIPELINE_DEPTH, Pipeline, Progress, Route
from runner.client.remote import OPEN_DOOR, PATIENT, Access, Timeouts, opening
from runner.errors import Unreachable
from runner.images import Images, find_images
from runner.machine import this_machine
from runner.memory import settled
from runner.parts.network import is_torchvision
from runner.places.comparing import COMPARED, compare
from runner.places.head import build_routes, head_memory
from runner.watching.events import Events, Observer, RunBegan, RunEnded, shown
from runner.watching.recorder import Recorder
from runner.watching.report import Environment, RunReport, SkippedPicture, make_report
from runner.wire.shaping import Pacer, Shape, as_pacer

ATTEMPTS = 5
"""How often a server that never greeted is tried before the run is given up."""


def run_plan(
    plan: Plan,
    server: tuple[str, int],
    *,
    images: Path | None = None,
    n: int | None = None,
    shape: Shape | Pacer | None = None,
    networks: Sequence[str] = (),
    weights_file: Path | None = None,
    threads: int | None = None,
    timeouts: Timeouts | None = None,
    access: Access = OPEN_DOOR,
    pipelined: bool = False,
    adapt: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
    compared: int = COMPARED,
    skip_bad_images: bool = False,
) -> RunReport:
    """Execute a plan on `n` images (default: each picture once) and report what was measured.

    `images` is a folder of pictures (default: the bundled ones; `skip_bad_images` leaves out what cannot be
    read), `shape` the link's emulation, `networks` the
    `package.module:callable` that may run here beside torchvision's models, `weights_file` the state dict in place of
    the plan's `file:PATH`, `access` what the server wants to see. One image after another, or `pipelined`, or with the cut
    that the plan's policy chooses for the link as it is (`adapt`). `observers` are told what happens
    (`runner.watching.events`). Under a codec, `compared` pictures are asked once more after the run, and once without
    it. The server is not contacted where the plan leaves it nothing to do.

    Raises InputError for a plan or pictures that cannot be used, RunnerError where the server cannot be reached or refuses
    before the first image. From then on every image has an end in the report, and KeyboardInterrupt ends the run early
    with a report that says so.
    """
    network = check_runnable(plan, "plan")
    weights = _weights(network.weights, weights_file)
    if n is not None and n < 1:
        raise InputError("images", f"{counted(n, 'image')} cannot be run; expected at least 1")
    timeouts = timeouts or patient_with(plan)
    _check_crossing(plan, network)
    pictures = find_images(network, images, n, skip_bad=skip_bad_images)
    n = len(pictures) if n is None else n
    tell = progress or (lambda what, done, total: None)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    recorder, link = Recorder(), as_pacer(shape)
    if adapt and pipelined:
        raise InputError("--adapt", "takes one image after another; leave out --pipeline")
    steering = Steering(Choice.of(plan), Scout(server, link, timeouts, access), plan.setting.back_bytes_per_s) if adapt else None
    plans = [plan] if steering is None else plans_of(plan, steering.choice)
    events = Events([recorder, *([steering] if steering else []), *observers])
    lines = [Line(server, opening(one, network), link, timeouts, access, events=events) if one.x2 else None for one in plans]
    line = next((one for one in lines if one is not None), None)
    interrupted = False
    with torch_threads(threads), contextlib.ExitStack() as stack:
        try:
            _reach_all(lines, "is_asked", timeouts, may_fail=True)
            tell(f"building {network.builder}", 0, n)
            built = build_routes(plans, lines, network, weights, networks, pictures)
            routes = built.routes
            tell("waiting for the server", 0, n)
            _reach_all(lines, "is_open", timeouts, may_fail=routes[0].fallback is None or routes[0].fallback.refusal is None)
            memory = head_memory(built, pictures)
            tell("warming up", 0, n)
            pipeline = Pipeline(routes[0], _class_names(network), timeouts, events)
            _warm_up(pipeline, routes, pictures, link)
            events.tell(RunBegan(network=network.name, digest=shown(network.digest), cut=plan.x1, images=n,
                                 peer=line.name if line else None, pipelined=pipelined))  # fmt: skip
            stack.enter_context(settled())
            if steering is not None:
                stack.enter_context(steering.scout)
                steering.begin(pipeline, routes)
            begin = time.perf_counter()
            try:
                pipeline.run(pictures, range(1, n + 1), PIPELINE_DEPTH if pipelined else 1, tell)
            except KeyboardInterrupt:
                interrupted = True
            elapsed_s = time.perf_counter() - begin
            beside = None if interrupted else compare(routes[0].line, routes[0].head, pictures, compared, n + 1, timeouts)
        finally:
            for one in filter(None, lines):
                one.close(politely=not interrupted)
        environment = Environment(
            started=started,
            edge=this_machine(torch.get_num_threads()),
            server=line.machine if line else None,
            server_address=line.name if line else None,
            shape=str(shape) if shape and line else None,
            weights=_about(network.weights),
            seed=_seed(network.weights),
            images=pictures.what,
            preprocessing=pictures.preprocessing,
        )
    report = make_report(plan, pipeline.results, memory, environment, failed=pipeline.failed, pipelined=pipelined,
                         skipped=[SkippedPicture(file=one.file, reason=one.reason) for one in pictures.skipped],
                         elapsed_s=elapsed_s, reason="interrupted" if interrupted else None,
                         happened=recorder.since(begin), compared=beside, adapted=steering.adapted if steering else None,
                         adaptation=steering.changes if steering else ())  # fmt: skip
    events.tell(RunEnded(images=report.images, lost=report.lost, fallbacks=report.fallbacks, retries=report.retries,
                         elapsed_s=elapsed_s, reason=report.reason))  # fmt: skip
    return report


def patient_with(plan: Plan) -> Timeouts:
    """The timeouts for a plan: an image may take ten times what is predicted, and half a minute in any case."""
    return replace(PATIENT, result_s=max(PATIENT.result_s, 10 * float(plan.predicted.get("latency_s", 0.0))))


def _check_crossing(plan: Plan, network: PlannedNetwork) -> None:
    """InputError where more crosses than can be sent, where the codec does not suit it, or where the server would make another
    tensor of the picture itself: it knows the network, not the plan."""
    check_sendable(plan, "plan")
    codec, how = codecs.get(plan.codec), network.preprocessing
    codec.check_crossing(tensor.name for tensor in plan.crossing)
    if how is None or not plan.x2 or not codec.only_input:
        return
    other = preprocessing_of(network.builder, network.weights, network.input.shape)
    if any(getattr(how, key) != getattr(other, key) for key in ("channels", "scale", "mean", "std")):
        raise InputError("plan.network.preprocessing", f"is not what goes with {network.weights}, which a server makes of a "
                                                       f"picture; choose another codec than {plan.codec}")


def _warm_up(pipeline: Pipeline, routes: Sequence[Route], pictures: Images, link: Pacer | None) -> None:
    """Go each way once; the pipeline is left on the first, and the times of a shaped link count from now on."""
    for route in reversed(routes):
        pipeline.route = route
        pipeline.warm_up(pictures)
    if link is not None:
        link.start()


def _reach_all(lines: Sequence[Line | None], done: Literal["is_asked", "is_open"], timeouts: Timeouts, may_fail: bool) -> None:
    for line in lines:
        if line is not None:
            reach(line, done, timeouts, may_fail)


def reach(line: Line, done: Literal["is_asked", "is_open"], timeouts: Timeouts, may_fail: bool) -> None:
    """Return when the server has come so far, or, if it `may_fail` and did greet, without it after `result_s`.

    Before anything is done, a server that is not there or refuses is most likely not the one that was meant.
    """
    end = time.monotonic() + timeouts.result_s
    while not getattr(line, done):
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
