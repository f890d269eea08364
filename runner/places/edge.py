"""The edge's side: builds the plan's network, keeps the head, runs the images, and reports every stage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Unpack

import torch

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan, PlannedNetwork, check_runnable, check_sendable
from lmos_opt.tensors import only_input
from lmos_opt.units import counted
from measurement import codecs
from measurement.networks.conventions import conventions_for
from measurement.networks.labels import names_of
from measurement.networks.preprocessing import preprocessing_of
from measurement.timing import torch_threads
from runner.adaptation.cuts import Choice, plans_of
from runner.adaptation.scout import Scout
from runner.adaptation.steering import Steering
from runner.client.pipeline import PIPELINE_DEPTH, Pipeline, Route
from runner.client.remote import PATIENT, Timeouts, opening
from runner.client.server_connection import ServerConnection
from runner.errors import Unreachable
from runner.images import Images, find_images
from runner.machine import this_machine
from runner.memory import settled
from runner.places.comparing import compare
from runner.places.head import build_routes, head_memory
from runner.places.options import RunKeywords, RunOptions
from runner.watching.events import Events, RunBegan, RunEnded, shown
from runner.watching.recorder import Recorder
from runner.watching.report import Compared, Environment, Outcome, RunReport, SkippedPicture, make_report
from runner.wire.shaping import Pacer, as_pacer

ORDINARY_RUN = RunOptions()
ATTEMPTS = 5
"""How often a server that never greeted is tried before the run is given up."""


def run_plan(plan: Plan, server: tuple[str, int], options: RunOptions = ORDINARY_RUN, **changes: Unpack[RunKeywords]) -> RunReport:
    """Execute a plan and report what was measured; each keyword takes the place of the field of `options` that has its name.

    The server is not contacted where the plan leaves it nothing to do.

    Raises InputError for a plan or pictures that cannot be used, RunnerError where the server cannot be reached or refuses
    before the first image. From then on every image has an end in the report, and KeyboardInterrupt ends the run early
    with a report that says so.
    """
    run = _prepare(plan, server, replace(options, **changes))
    with torch_threads(run.options.threads), contextlib.ExitStack() as stack:
        course = None
        try:
            ready = _make_ready(run)
            _begin(run, ready, stack)
            course = _execute(run, ready)
        finally:
            for connection in filter(None, run.connections):
                connection.close(politely=course is None or not course.interrupted)
        environment = _environment(run)
    report = make_report(plan, _outcome(run, ready, course), environment)
    run.events.tell(RunEnded(images=report.images, lost=report.lost, fallbacks=report.fallbacks, retries=report.retries,
                             elapsed_s=course.elapsed_s, reason=report.reason))  # fmt: skip
    return report


@dataclass(frozen=True)
class _Run:
    """What is known before the server is reached: what is run, on what, and over which connections (one a plan, None where it
    leaves the server nothing to do). The first plan is the run's own; in a run that adapts, the others are the further cuts."""

    plans: Sequence[Plan]
    network: PlannedNetwork
    weights: str
    pictures: Images
    n: int
    options: RunOptions
    timeouts: Timeouts
    link: Pacer | None
    steering: Steering | None
    recorder: Recorder
    events: Events
    connections: Sequence[ServerConnection | None]
    started: str

    @property
    def connection(self) -> ServerConnection | None:
        """The first that there is; all go to the same server."""
        return next((connection for connection in self.connections if connection is not None), None)

    def tell(self, what: str) -> None:
        """Say what is done before the first image."""
        if self.options.progress is not None:
            self.options.progress(what, 0, self.n)


@dataclass(frozen=True)
class _Ready:
    """What is there before the first image: each plan's route, the pipeline on the first, and the edge's memory (B)."""

    routes: Sequence[Route]
    pipeline: Pipeline
    memory: Sequence[int]


@dataclass(frozen=True)
class _Course:
    """How the run went: when it began (`time.perf_counter`), how long it took, whether it was interrupted, and what the codec
    changes."""

    begin: float
    elapsed_s: float
    interrupted: bool
    compared: Compared | None


def _prepare(plan: Plan, server: tuple[str, int], options: RunOptions) -> _Run:
    """Check all that can be checked without the server and without the network; nothing is contacted yet."""
    network = check_runnable(plan, "plan")
    weights = _weights(network.weights, options.weights_file)
    if options.n is not None and options.n < 1:
        raise InputError("images", f"{counted(options.n, 'image')} cannot be run; expected at least 1")
    timeouts = options.timeouts or patient_with(plan)
    _check_crossing(plan, network)
    pictures = find_images(network, options.images, options.n, skip_bad=options.skip_bad_images)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    recorder, link = Recorder(), as_pacer(options.shape)
    steering = _steering(plan, server, options, timeouts, link)
    plans = [plan] if steering is None else plans_of(plan, steering.choice)
    events = Events([recorder, *([steering] if steering else []), *options.observers])
    connections = [ServerConnection(server, opening(one, network), link, timeouts, options.access, events=events)
                   if one.x2 else None for one in plans]
    n = len(pictures) if options.n is None else options.n
    return _Run(plans, network, weights, pictures, n, options, timeouts, link, steering, recorder, events, connections, started)


def _steering(plan: Plan, server: tuple[str, int], options: RunOptions, timeouts: Timeouts, link: Pacer | None) -> Steering | None:
    if not options.adapt:
        return None
    if options.pipelined:
        raise InputError("--adapt", "takes one image after another; leave out --pipeline")
    return Steering(Choice.of(plan), Scout(server, link, timeouts, options.access), plan.setting.back_bytes_per_s)


def _make_ready(run: _Run) -> _Ready:
    """Build the heads while the server builds the tails, measure the heads' memory, and run one image each way."""
    _reach_all(run.connections, "is_asked", run.timeouts, may_fail=True)
    run.tell(f"building {run.network.builder}")
    built = build_routes(run.plans, run.connections, run.network, run.weights, run.options.networks, run.pictures)
    routes = built.routes
    run.tell("waiting for the server")
    may_fail = routes[0].fallback is None or routes[0].fallback.refusal is None
    _reach_all(run.connections, "is_open", run.timeouts, may_fail=may_fail)
    memory = head_memory(built, run.pictures)
    run.tell("warming up")
    pipeline = Pipeline(routes[0], names_of(conventions_for(run.network).labels), run.timeouts, run.events)
    _warm_up(pipeline, routes, run.pictures, run.link)
    return _Ready(routes, pipeline, memory)


def _begin(run: _Run, ready: _Ready, stack: contextlib.ExitStack) -> None:
    """Say that the run begins; until the stack is closed, the process is settled and the scout, if there is one, probes."""
    run.events.tell(RunBegan(network=run.network.name, digest=shown(run.network.digest), cut=run.plans[0].x1, images=run.n,
                             peer=run.connection.name if run.connection else None, pipelined=run.options.pipelined))  # fmt: skip
    stack.enter_context(settled())
    if run.steering is not None:
        stack.enter_context(run.steering.scout)
        run.steering.begin(ready.pipeline, ready.routes)


def _execute(run: _Run, ready: _Ready) -> _Course:
    """Run the images, and compare the codec afterwards."""
    interrupted = False
    begin = time.perf_counter()
    try:
        depth = PIPELINE_DEPTH if run.options.pipelined else 1
        ready.pipeline.run(run.pictures, range(1, run.n + 1), depth, run.options.progress)
    except KeyboardInterrupt:
        interrupted = True
    elapsed_s = time.perf_counter() - begin
    own = ready.routes[0]
    most, first = run.options.compared, run.n + 1
    compared = None if interrupted else compare(own.connection, own.head, run.pictures, most, first, run.timeouts)
    return _Course(begin, elapsed_s, interrupted, compared)


def _environment(run: _Run) -> Environment:
    connection, shape = run.connection, run.options.shape
    return Environment(
        started=run.started,
        edge=this_machine(torch.get_num_threads()),
        server=connection.machine if connection else None,
        server_address=connection.name if connection else None,
        shape=str(shape) if shape and connection else None,
        weights=_about(run.network.weights),
        seed=_seed(run.network.weights),
        images=run.pictures.what,
        preprocessing=run.pictures.preprocessing,
    )


def _outcome(run: _Run, ready: _Ready, course: _Course) -> Outcome:
    return Outcome(
        results=ready.pipeline.results,
        failed=ready.pipeline.failed,
        skipped=[SkippedPicture(file=one.file, reason=one.reason) for one in run.pictures.skipped],
        edge_memory=ready.memory,
        reason="interrupted" if course.interrupted else None,
        pipelined=run.options.pipelined,
        elapsed_s=course.elapsed_s,
        happened=run.recorder.since(course.begin),
        compared=course.compared,
        adapted=run.steering.adapted if run.steering else None,
        adaptation=run.steering.changes if run.steering else (),
    )


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
    other = preprocessing_of(network.builder, network.weights, only_input(network).shape)
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


def _reach_all(connections: Sequence[ServerConnection | None], done: Literal["is_asked", "is_open"], timeouts: Timeouts,
               may_fail: bool) -> None:  # fmt: skip
    for connection in connections:
        if connection is not None:
            reach(connection, done, timeouts, may_fail)


def reach(connection: ServerConnection, done: Literal["is_asked", "is_open"], timeouts: Timeouts, may_fail: bool) -> None:
    """Return when the server has come so far, or, if it `may_fail` and did greet, without it after `result_s`.

    Before anything is done, a server that is not there or refuses is most likely not the one that was meant.
    """
    end = time.monotonic() + timeouts.result_s
    while not getattr(connection, done):
        connection.step(timeouts.heartbeat_s)
        if connection.refused is not None:
            raise connection.refused
        failure = connection.first_failure
        if failure is None or connection.is_asked:
            continue
        if not connection.was_greeted and (connection.failures >= ATTEMPTS or isinstance(connection.last_failure, Unreachable)):
            raise failure
        if time.monotonic() > end:
            if may_fail and connection.was_greeted:
                return
            raise failure


def _weights(planned: str, file: Path | None) -> str:
    if file is None:
        return planned
    if not planned.startswith("file:"):
        raise InputError(str(file), f"the plan's weights are {planned}, not those of a file")
    return f"file:{file}"


def _seed(weights: str) -> int | None:
    kind, _, value = weights.partition(":")
    return int(value) if kind == "seeded" else None


def _about(weights: str) -> str:
    if weights.startswith("seeded:"):
        return f"{weights}: random numbers, so the classes mean nothing"
    return f"{weights}: trained"
