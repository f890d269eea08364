"""`lmos run`: the edge side of the runner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lmos_opt.errors import InputError
from lmos_opt.plan import STAGES, Plan, check_runnable
from lmos_opt.units import format_size, format_time
from measurement.networks import parse_builder
from runner.commands.output import activity, out, print_json, table
from runner.edge import run_plan
from runner.report import RunReport
from runner.shaping import parse_shape
from runner.transport import parse_address


def run(plan: Path, server: str, images: Path | None, n: int | None, output: Path | None, shape: str | None,
        networks: Sequence[str], weights: Path | None, threads: int | None, as_json: bool) -> None:  # fmt: skip
    """Raises InputError for a plan, pictures or options that cannot be used, RunnerError where the run fails."""
    if output is not None and output.suffix.lower() != ".json":
        raise InputError(str(output), f"has the suffix {output.suffix!r}; a report is written as .json")
    loaded = Plan.load(plan)
    check_runnable(loaded, str(plan))
    with activity("starting") as tell:
        report = run_plan(
            loaded,
            parse_address(server),
            images=images,
            n=n,
            shape=None if shape is None else parse_shape(shape),
            networks=[parse_builder(name) for name in networks],
            weights_file=weights,
            threads=threads,
            progress=lambda what, done, total: tell(f"{what} ({done} of {total} images)"),
        )
    if output is not None:
        report.save(output)
    if as_json:
        print_json(report.to_json())
    else:
        out().print(comparison(report))
        out().print(classes(report))


def comparison(report: RunReport) -> object:
    """Predicted beside measured, stage by stage."""
    rows = []
    for key in STAGES:
        show = format_size if key.endswith("bytes") else format_time
        predicted, measured = report.predicted[key], report.measured[key]
        off = f"{100 * (predicted - measured.p50) / measured.p50:+.0f} %" if measured.p50 > 0 else ""
        rows.append([key, show(predicted), show(measured.p50), show(measured.p95), off])
    shape = report.environment.shape
    title = (f"{report.images} images, {report.plan.x1} layers at the edge, {report.plan.x2} at the server"
             + (f", link held to {shape}" if shape else ""))
    return table(title, ["stage", "predicted", "measured (median)", "measured (p95)", "prediction off by"], rows, left=[0])


def classes(report: RunReport) -> object:
    """What the network saw; without trained weights the classes mean nothing, and the title says so."""
    seen = {result.file: result for result in report.per_image}
    rows = [[Path(name).name, str(result.class_), result.class_name or ""] for name, result in seen.items()]
    return table(report.environment.weights, ["picture", "class", "name"], rows, left=[0, 2])
