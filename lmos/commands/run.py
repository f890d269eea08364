"""`lmos run`: the edge side of the runner."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from lmos.commands.conventions import Told, tell_assumed, tell_doubts
from lmos.commands.watching import Watch, edge_metrics, logged, shown_at, tell_url
from lmos.kept_graphs import KeptGraphs
from lmos.output import err, live, out, print_json, table
from lmos_opt.errors import LmosError, of_file
from lmos_opt.plan import Plan, check_runnable, check_sendable, picture_or_first
from lmos_opt.plans.keys import LAYER_KEYS
from lmos_opt.processes.signals import Held, in_one_piece
from lmos_opt.processes.writing import check_output
from lmos_opt.units import counted, format_rate, format_size, format_time, parse_time
from measurement.networks import parse_builder
from runner.client.pipeline import Progress
from runner.errors import Interrupted
from runner.images import is_of_arrays
from runner.lab.replaying import link_shape
from runner.places.checked import patient_with
from runner.places.edge import run_held
from runner.places.options import RunOptions
from runner.watching.events import Observer
from runner.watching.live import REFRESHES_PER_S, LiveView
from runner.watching.logs import log_event
from runner.watching.report import STAGE_COLUMNS, Adapted, CutChange, RunReport, memory_note, stage_rows
from runner.watching.timeline import save_timeline
from runner.wire.access import Credentials
from runner.wire.connecting import parse_address
from runner.wire.timeouts import Timeouts


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos run` is asked for, as typed."""

    plan: Path
    server: str
    images: Path | None
    skip_bad_images: bool
    told: Told
    n: int | None
    output: Path | None
    shape: str | None
    networks: Sequence[str]
    weights: Path | None
    pipelined: bool
    adapt: bool
    deadline: str | None
    credentials: Credentials
    threads: int | None
    trace: Path | None
    watch: Watch
    compared: int
    shown: int
    save_outputs: Path | None
    engine: str
    precision: str
    as_json: bool


class ImagesLost(LmosError):
    """The run has ended, and some images have no result."""


def run(request: Request) -> None:
    """Raises InputError for a plan, pictures or options that cannot be used, RunnerError if the run fails.

    ImagesLost and Interrupted come after the report was written.
    """
    check_output(request.output, (".json",), plan=request.plan, trace=request.trace)
    check_output(request.trace, (".json",), plan=request.plan)
    with logged(request.watch) if request.watch.is_logged else nullcontext():
        plan = Plan.load(request.plan)
        network = check_runnable(plan, str(request.plan))
        plan = plan.model_copy(update={"network": request.told.applied(network, picture_or_first(network))})
        check_sendable(plan, str(request.plan))
        # what was measured is there in the end, whenever somebody interrupts
        with of_file(request.plan, LAYER_KEYS), in_one_piece() as held:
            report = _report(plan, request, held)
            _hand_over(report, request)
        if not report.complete:
            raise Interrupted(f"{report.reason} after {counted(report.images, 'image')}")
        if report.lost:
            raise ImagesLost(f"{report.lost} of {counted(report.images, 'image')} failed; the first: {report.failed[0].file}: "
                             f"{report.failed[0].reason}")


def _hand_over(report: RunReport, request: Request) -> None:
    """Print the report, then write its files. Each is done whatever became of those before: a closed pipe or a full disk."""
    with ExitStack() as files:  # ends with the last one first
        if request.trace is not None:
            files.callback(save_timeline, report, request.trace)
        if request.output is not None:
            files.callback(report.save, request.output)
        if request.as_json:
            print_json(report.to_json())
        else:
            _show(report)


def _report(plan: Plan, request: Request, held: Held) -> RunReport:
    """Run the plan, watched as was asked."""
    server, watch = parse_address(request.server, what="--server"), request.watch
    with ExitStack() as stack:
        observers: list[Observer] = [log_event] if watch.is_logged else []
        if watch.metrics is not None:
            metrics = edge_metrics()
            tell_url(stack.enter_context(shown_at(metrics, watch.metrics, request.credentials.unprotected)), watch)
            observers.append(metrics)
        network = check_runnable(plan, "plan")
        if request.images is None or not is_of_arrays(request.images):
            tell_assumed(network, watch.is_logged)
        tell_doubts(network.name, plan.setting.doubts, watch.is_logged)
        progress = _progress(stack, watch, observers)
        options = replace(_options(plan, server, request), progress=progress, observers=observers)
        return run_held(plan, server, options, held)


def _options(plan: Plan, server: tuple[str, int], request: Request) -> RunOptions:
    """The options of the run, from what was typed. InputError for files or values that cannot be read."""
    return RunOptions(
        images=request.images,
        n=request.n,
        shape=None if request.shape is None else link_shape(request.shape),
        networks=[parse_builder(name) for name in request.networks],
        weights_file=request.weights,
        threads=request.threads,
        timeouts=_timeouts(plan, request.deadline),
        access=request.credentials.at(server),
        pipelined=request.pipelined,
        adapt=request.adapt,
        compared=request.compared,
        shown=request.shown,
        save_outputs=request.save_outputs,
        engine=request.engine,
        precision=request.precision,
        graphs=KeptGraphs.here(),
        skip_bad_images=request.skip_bad_images,
    )


def _progress(stack: ExitStack, watch: Watch, observers: list[Observer]) -> Progress | None:
    """How the run is shown while it lasts: as a live view on a terminal that is no JSON log, which then observes it."""
    if not err().is_terminal or watch.log_format == "json":
        return None
    view = LiveView()
    observers.append(view)
    stack.enter_context(live(view, REFRESHES_PER_S))
    return view.do


def _timeouts(plan: Plan, deadline: str | None) -> Timeouts:
    timeouts = patient_with(plan)
    return timeouts if deadline is None else replace(timeouts, result_s=parse_time(deadline, "--deadline"))


def _show(report: RunReport) -> None:
    out().print(comparison(report))
    if report.adapted is not None:
        out().print(changes(report))
    out().print(classes(report))
    out().print(how_it_went(report))
    for line in engines(report):
        out().print(line, soft_wrap=True, markup=False)
    for picture in report.skipped:
        out().print(f"skipped {picture.file}: {picture.reason}", soft_wrap=True, markup=False)


def comparison(report: RunReport) -> object:
    """Predicted beside measured, stage by stage."""
    rows = [row for row in stage_rows(report.plan, report) if row[0] in report.measured]
    shape = report.environment.shape
    alone = ", which was not contacted" if report.environment.server is None and not report.plan.offloads else ""
    title = (f"{counted(report.images, 'image')}, {counted(report.plan.x1, 'layer')} at the edge, {report.plan.x2} at the server"
             + alone + (f", link held to {shape}" if shape else ""))
    found = table(title, STAGE_COLUMNS, rows, left=[0])
    found.caption, found.caption_justify = memory_note(report.plan), "left"
    return found


def changes(report: RunReport) -> object:
    """Each change of the cut, and why."""
    assert report.adapted is not None
    rows = [[str(one.at_image), f"{one.at_s:.1f} s", _layers(one), format_rate(one.bandwidth_bytes_per_s),
             format_time(one.predicted_before_s), format_time(one.predicted_after_s), one.reason] for one in report.adaptation]
    title = (f"{counted(len(rows), 'change')} of the cut between {_cuts(report.adapted)}, "
             f"rule {report.adapted.rule}; {counted(report.adapted.probes, 'probe')}, {format_size(report.adapted.probed_bytes)}")
    if not rows:
        return title
    what = "layers at each place" if report.adapted.counts else "edge layers"
    columns = ["from image", "after", what, "link", "predicted before", "predicted now", "why"]
    return table(title, columns, rows, left=[6])


def _layers(change: CutChange) -> str:
    before, after = change.counts_before or [change.x1_before], change.counts_after or [change.x1_after]
    return f"{', '.join(map(str, before))} to {', '.join(map(str, after))}"


def _cuts(adapted: Adapted) -> str:
    """The cuts in words, by their numbers of layers."""
    if adapted.counts:
        return "; ".join(", ".join(map(str, counts)) for counts in adapted.counts) + " layers"
    return f"{', '.join(map(str, adapted.cuts))} edge layers"


def classes(report: RunReport) -> object:
    """A table of the classes of images. Without trained weights they mean nothing, and the title says so."""
    seen = {result.file: result for result in report.per_image}
    if all(result.class_ is None for result in seen.values()):
        rows = [[Path(name).name, result.returns or ""] for name, result in seen.items()]
        return table(report.environment.weights, ["picture", "the network returned"], rows, left=[0, 1])
    rows = [[Path(name).name, "" if result.class_ is None else str(result.class_), result.class_name or result.returns or ""]
            for name, result in seen.items()]
    return table(report.environment.weights, ["picture", "class", "name"], rows, left=[0, 2])


def engines(report: RunReport) -> list[str]:
    """A line for each place where something else than torch on its processor computed: what that was, and what it changed."""
    environment = report.environment
    places = {"edge": environment.edge, "server": environment.server}
    places |= {f"place {p}": machine for p, machine in enumerate(environment.beyond, 3)}
    return [f"{place}: {machine.versions['engine']}" for place, machine in places.items()
            if machine is not None and "engine" in machine.versions]  # fmt: skip


def how_it_went(report: RunReport) -> str:
    """One line: images a second, and what went wrong on the way."""
    found = []
    if report.goodput_images_per_s is not None:
        found.append(f"{report.goodput_images_per_s:.2f} images/s" + (", pipelined" if report.pipelined else ""))
    for count, what in ((report.retries, "sent again"), (report.fallbacks, "finished at the edge"), (report.lost, "lost"),
                        (len(report.skipped), "skipped")):
        if count:
            found.append(f"{count} {what}")
    if report.promise is not None:
        found.append(f"deadline of {report.promise.in_words}")
    if report.codec is not None:
        found.append(report.codec.in_words)
    reason = next((image.reason for image in report.per_image if image.reason), None)
    return "; ".join(found) + (f" ({reason})" if reason else "")
