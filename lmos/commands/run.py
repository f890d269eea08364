"""`lmos run`: the edge side of the runner."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from lmos.commands.assumed import tell_assumed
from lmos.commands.watching import Watch, edge_metrics, logged, shown_at, sigterm_like_ctrl_c, tell_url
from lmos.output import err, live, out, print_json, table
from lmos_opt.errors import InputError, LmosError
from lmos_opt.plan import Plan, check_runnable, check_sendable
from lmos_opt.units import counted, format_rate, format_size, format_time, parse_time
from measurement.networks import parse_builder
from runner.client.pipeline import Progress
from runner.client.remote import Access, Timeouts
from runner.places.edge import patient_with, run_plan
from runner.watching.events import Observer
from runner.watching.live import REFRESHES_PER_S, LiveView
from runner.watching.logs import log_event
from runner.watching.report import STAGE_COLUMNS, RunReport, memory_note, stage_rows
from runner.watching.trace import save_trace
from runner.wire.access import read_token
from runner.wire.connecting import is_loopback, parse_address
from runner.wire.shaping import parse_shape
from runner.wire.tls import edge_tls


@dataclass(frozen=True)
class Manner:
    """How a run is to be done, as typed: pipelined or not, how patiently, what lets it into the server, where its trace goes,
    how it is watched, how many pictures show what a codec changes, and whether pictures that cannot be read are left out."""

    pipelined: bool = False
    deadline: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    unprotected: bool = False
    trace: Path | None = None
    watch: Watch = field(default_factory=Watch)
    compared: int = 8
    adapt: bool = False
    skip_bad_images: bool = False


class ImagesLost(LmosError):
    """The run came to its end, and some images did not."""


class Interrupted(LmosError):
    """The run was ended by Ctrl-C or SIGTERM."""


def run(plan: Path, server: str, images: Path | None, n: int | None, output: Path | None, shape: str | None,
        networks: Sequence[str], weights: Path | None, threads: int | None, as_json: bool, manner: Manner) -> None:  # fmt: skip
    """Raises InputError for a plan, pictures or options that cannot be used, RunnerError where the run fails.

    ImagesLost and Interrupted come after the report was written.
    """
    for file in (output, manner.trace):
        if file is not None and file.suffix.lower() != ".json":
            what = "a report" if file is output else "a trace"
            raise InputError(str(file), f"has the suffix {file.suffix!r}; {what} is written as .json")
    with sigterm_like_ctrl_c(), logged(manner.watch) if manner.watch.is_logged else nullcontext():
        loaded = Plan.load(plan)
        check_runnable(loaded, str(plan))
        check_sendable(loaded, str(plan))
        report = _report(loaded, parse_address(server), images, n, shape, networks, weights, threads, manner)
        if as_json:
            print_json(report.to_json())
        else:
            out().print(comparison(report))
            if report.adapted is not None:
                out().print(changes(report))
            out().print(classes(report))
            out().print(how_it_went(report))
            for picture in report.skipped:
                out().print(f"skipped {picture.file}: {picture.reason}", soft_wrap=True, markup=False)
        if output is not None:
            report.save(output)  # last: a full disk must not take what was printed with it
        if manner.trace is not None:
            save_trace(report, manner.trace)
        if not report.complete:
            raise Interrupted(f"{report.reason} after {counted(report.images, 'image')}")
        if report.lost:
            raise ImagesLost(f"{report.lost} of {counted(report.images, 'image')} failed; the first: {report.failed[0].file}: "
                             f"{report.failed[0].reason}")


def _report(plan: Plan, server: tuple[str, int], images: Path | None, n: int | None, shape: str | None,
            networks: Sequence[str], weights: Path | None, threads: int | None, manner: Manner) -> RunReport:  # fmt: skip
    with ExitStack() as stack:
        observers: list[Observer] = [log_event] if manner.watch.is_logged else []
        if manner.watch.metrics is not None:
            metrics = edge_metrics()
            url = stack.enter_context(shown_at(metrics, manner.watch.metrics, manner.unprotected))
            tell_url(url, manner.watch)
            observers.append(metrics)
        tell_assumed(check_runnable(plan, "plan"), manner.watch.is_logged)
        progress = _progress(stack, manner.watch, observers)
        return run_plan(
            plan,
            server,
            images=images,
            n=n,
            shape=None if shape is None else parse_shape(shape),
            networks=[parse_builder(name) for name in networks],
            weights_file=weights,
            threads=threads,
            timeouts=_timeouts(plan, manner.deadline),
            access=access_of(server, manner),
            pipelined=manner.pipelined,
            adapt=manner.adapt,
            progress=progress,
            observers=observers,
            compared=manner.compared,
            skip_bad_images=manner.skip_bad_images,
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


def access_of(address: tuple[str, int], manner: Manner) -> Access:
    """What lets an edge in at this address; InputError for options that do not fit together, or a token nobody protects."""
    if manner.ca is None and (manner.cert is not None or manner.key is not None):
        raise InputError("--ca", "is missing; --cert and --key need it")
    if (manner.cert is None) != (manner.key is None):
        raise InputError("--key" if manner.key is None else "--cert", "is missing; one needs the other")
    token = read_token(manner.token_file)
    tls = None if manner.ca is None else edge_tls(manner.ca, manner.cert, manner.key)
    if token is not None and tls is None and not manner.unprotected and not is_loopback(address[0]):
        raise InputError("--ca", f"is missing: without TLS the token could be read on its way to {address[0]}; "
                                 "--unprotected sends it all the same")
    return Access(token, tls)


def comparison(report: RunReport) -> object:
    """Predicted beside measured, stage by stage."""
    rows = [row for row in stage_rows(report.plan, report) if row[0] in report.measured]
    shape = report.environment.shape
    title = (f"{counted(report.images, 'image')}, {counted(report.plan.x1, 'layer')} at the edge, {report.plan.x2} at the server"
             + (f", link held to {shape}" if shape else ""))
    found = table(title, STAGE_COLUMNS, rows, left=[0])
    found.caption, found.caption_justify = memory_note(report.plan), "left"
    return found


def changes(report: RunReport) -> object:
    """Each change of the cut, and why."""
    assert report.adapted is not None
    rows = [[str(one.at_image), f"{one.at_s:.1f} s", f"{one.x1_before} to {one.x1_after}", format_rate(one.bandwidth_bytes_per_s),
             format_time(one.predicted_before_s), format_time(one.predicted_after_s), one.reason] for one in report.adaptation]
    title = (f"{counted(len(rows), 'change')} of the cut between {', '.join(map(str, report.adapted.cuts))} edge "
             f"layers, "
             f"rule {report.adapted.rule}; {counted(report.adapted.probes, 'probe')}, {format_size(report.adapted.probed_bytes)}")
    if not rows:
        return title
    columns = ["from image", "after", "edge layers", "link", "predicted before", "predicted now", "why"]
    return table(title, columns, rows, left=[6])


def classes(report: RunReport) -> object:
    """What the network saw; without trained weights the classes mean nothing, and the title says so."""
    seen = {result.file: result for result in report.per_image}
    if all(result.class_ is None for result in seen.values()):
        rows = [[Path(name).name, result.returns or ""] for name, result in seen.items()]
        return table(report.environment.weights, ["picture", "the network returned"], rows, left=[0, 1])
    rows = [[Path(name).name, "" if result.class_ is None else str(result.class_), result.class_name or result.returns or ""]
            for name, result in seen.items()]
    return table(report.environment.weights, ["picture", "class", "name"], rows, left=[0, 2])


def how_it_went(report: RunReport) -> str:
    """One line: images a second, and what went wrong on the way."""
    found = []
    if report.goodput_images_per_s is not None:
        found.append(f"{report.goodput_images_per_s:.2f} images/s" + (", pipelined" if report.pipelined else ""))
    for count, what in ((report.retries, "sent again"), (report.fallbacks, "finished at the edge"), (report.lost, "lost"),
                        (len(report.skipped), "skipped")):
        if count:
            found.append(f"{count} {what}")
    if report.codec is not None:
        found.append(report.codec.in_words)
    reason = next((image.reason for image in report.per_image if image.reason), None)
    return "; ".join(found) + (f" ({reason})" if reason else "")
