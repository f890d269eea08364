"""`lmos bench`: measurements on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lmos.lists import names_of
from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import MissingExtraError
from lmos_opt.units import format_time, parse_time

if TYPE_CHECKING:
    from lmos.bench.results import Summary


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos bench solvers` is asked for, as typed."""

    output: Path | None
    suites: str
    only: str
    contestants: str | None
    repeats: int
    time_limit: str
    seed: int
    quick: bool
    instances: Path | None
    pyaugmecon_python: Path | None
    as_json: bool


def solvers(request: Request) -> None:
    """Measure front engines side by side; what was measured is written and printed even after an interruption.

    Raises InputError for an unknown suite or contestant. Ends with 1 after Ctrl-C, and where this project's own front is
    not the true one.
    """
    from lmos.bench import results
    from lmos.bench import solvers as registry
    from lmos.bench.cases import cases
    from lmos.bench.contest import Run, compete, ready
    from lmos.bench.solvers.pyaugmecon import NAME, contestant

    limit_s = parse_time(request.time_limit, "--time-limit")
    asked = cases(names_of(request.suites, "--suites"), request.quick, request.instances, request.only)
    names = registry.names() if request.contestants is None else names_of(request.contestants, "--contestants")
    wanted = [contestant(request.pyaugmecon_python) if name == NAME else registry.get(name) for name in names]
    folder = None if request.output is None else results.made_folder(request.output)
    runs: list[Run] = []
    interrupted = False
    try:
        with activity("loading the contestants") as say:
            rivals = ready(wanted, _complain)
            for case in asked:
                for run in compete(case, rivals, request.repeats, request.seed, limit_s, say):
                    runs.append(run)  # one by one: Ctrl-C leaves those that are there
    except KeyboardInterrupt:
        interrupted = True
    settings = {"suites": request.suites, "only": request.only, "contestants": names, "repeats": request.repeats,
                "time_limit_s": limit_s, "seed": request.seed, "quick": request.quick, "complete": not interrupted}  # fmt: skip
    summary = results.summarize(runs)
    if folder is not None:
        results.save(runs, folder, settings)
        _draw(summary, folder)
    if request.as_json:
        print_json(results.to_json(runs, settings))
    else:
        out().print(_table(summary))
        for row in summary:
            if not row.complete:
                out().print(f"{row.instance}, {row.contestant}: {row.note}")
    wrong = sorted({row.instance for row in summary if row.contestant == "ours" and row.complete and row.exact is False})
    if wrong:
        _complain(f"ours is not the true front on {', '.join(wrong)}")
    if interrupted:
        _complain("interrupted; what was measured before is all there is")
    if wrong or interrupted:
        raise typer.Exit(1)


def _draw(summary: Sequence[Summary], folder: Path) -> None:
    from lmos.bench.plots import save_times

    try:
        save_times(summary, folder / "times.png")
    except MissingExtraError as error:
        _complain(f"no picture: {error}")


def _complain(message: str) -> None:
    err().print(f"lmos: {message}", soft_wrap=True)


def _table(summary: Sequence[Summary]) -> object:
    columns = ["instance", "contestant", "median", "quartiles", "of raw", "of ours", "solves", "points", "front"]
    rows = []
    for k, row in enumerate(summary):
        first = k == 0 or summary[k - 1].instance != row.instance
        rows.append([
            row.instance if first else "", row.contestant, *_times(row),
            *("-" if ratio is None else f"{ratio:.2f}" for ratio in (row.ratio, row.of_ours)),
            "-" if row.solves is None else str(row.solves), str(row.points), _front(row),
        ])  # fmt: skip
    title = "Time of a run, model building included; 'of raw' is the median over raw_highspy's, 'of ours' over ours"
    return table(title, columns, rows, left=[0, 1])


def _times(row: Summary) -> list[str]:
    """Median and quartiles, in the median's unit."""
    middle = format_time(row.median_s)
    unit = middle.split()[-1]
    scale = {"us": 1e6, "ms": 1e3}.get(unit, 1.0)
    return [middle, f"{row.q1_s * scale:.2f} .. {row.q3_s * scale:.2f} {unit}"]


def _front(row: Summary) -> str:
    """What the answer is worth: `exact`, the share of the true front's hypervolume, or why there is no telling."""
    if not row.complete:
        return "cut short"
    if row.exact is None:
        return "unknown"
    if row.hypervolume is None:
        return "exact" if row.exact else "wrong"
    return "exact" if row.exact else f"{row.hypervolume:.2%}"
