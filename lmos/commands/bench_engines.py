"""`lmos bench engines`: our search with one solver or another, timed in turns, and their performance profiles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import median

import typer

from lmos.bench import results
from lmos.bench.search_engines import Engine, Timed, installed, measured, profile, ratios, study
from lmos.output import activity, out, print_json, say, table
from lmos_opt.errors import MissingExtraError
from lmos_opt.imports import current_directory_importable
from lmos_opt.processes.writing import write_atomically
from lmos_opt.units import format_time, parse_time


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for, as typed."""

    sources: Sequence[str]
    engines: Sequence[str]
    repeats: int
    time_limit: str
    seed: int
    output: Path | None
    as_json: bool


def run(asked: Request) -> None:
    """Measure, write and print. Ends with 1 after Ctrl-C, and where two engines have different fronts."""
    limit_s = parse_time(asked.time_limit, "--time-limit")
    engines = [Engine.of(text) for text in dict.fromkeys(asked.engines)] or installed()
    folder = None if asked.output is None else results.made_folder(asked.output)
    runs: list[Timed] = []
    interrupted = False
    with current_directory_importable():
        studies = [study(source) for source in dict.fromkeys(asked.sources)]
        try:
            with activity("timing") as tell:
                for one in measured(studies, engines, asked.repeats, asked.seed, limit_s, tell):
                    runs.append(one)  # one by one: Ctrl-C leaves those that are there
        except KeyboardInterrupt:
            interrupted = True
    settings = {"sources": list(asked.sources), "engines": [engine.name for engine in engines], "repeats": asked.repeats,
                "time_limit_s": limit_s, "seed": asked.seed, "complete": not interrupted}  # fmt: skip
    if folder is not None and runs:
        _save(runs, folder, settings)
    if asked.as_json:
        print_json(json.dumps({"machine": results.machine(settings), "profiles": _steps(runs),
                               "runs": [asdict(one) for one in runs]}, indent=1) + "\n")  # fmt: skip
    else:
        out().print(_table(runs))
        for one in runs:
            if not one.complete:
                out().print(f"{one.problem}, {one.engine}: {one.note}")
    different = sorted({f"{one.engine} on {one.problem}" for one in runs if one.agrees is False})
    if different:
        say(f"the fronts differ: {', '.join(different)}")
    if interrupted:
        say("interrupted; what was measured before is all there is")
    if different or interrupted:
        raise typer.Exit(1)


def _steps(runs: Sequence[Timed]) -> dict[str, list[tuple[float, float]]]:
    return {engine: profile(of) for engine, of in ratios(runs).items()}


def _save(runs: Sequence[Timed], folder: Path, settings: dict[str, object]) -> None:
    """Write results.csv (a row for each run), profiles.csv (a row for each step), machine.json, and profiles.png if possible."""
    steps = _steps(runs)
    write_atomically(folder / "results.csv", results.csv_of(Timed.__dataclass_fields__, (asdict(one).values() for one in runs)))
    write_atomically(folder / "profiles.csv", results.csv_of(
        ("engine", "ratio", "share"), ((engine, *step) for engine, found in steps.items() for step in found)))
    write_atomically(folder / "machine.json", (json.dumps(results.machine(settings), indent=1) + "\n").encode())
    try:
        from lmos.bench.plots import save_profiles

        save_profiles(steps, folder / "profiles.png")
    except MissingExtraError as error:
        say(f"no picture: {error}")


def _table(runs: Sequence[Timed]) -> object:
    """A row for each engine and problem: median time, its ratio to the fastest, and what the search did."""
    over, rows = ratios(runs), []
    problems = list(dict.fromkeys(one.problem for one in runs))
    for k, problem in enumerate(problems):
        for engine in over:
            mine = [one for one in runs if (one.problem, one.engine) == (problem, engine)]
            if not mine:
                continue
            last, ratio = mine[-1], over[engine][k]
            rows.append([problem, engine, format_time(median(one.seconds for one in mine)),
                         f"{ratio:.2f}" if isfinite(ratio) else "-", *map(str, (last.points, last.solves, last.lps, last.nodes)),
                         "yes" if last.complete else "no"])  # fmt: skip
    columns = ["problem", "engine", "median", "of the fastest", "points", "solves", "LPs", "nodes", "complete"]
    return table("Time of a front, model building included, imports left out", columns, rows, left=[0, 1])
