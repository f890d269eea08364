"""`lmos bench placement`: least loads of published workloads, with their proofs and what they take."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import typer

from lmos.bench.placement import Placement, measure
from lmos.bench.workloads import bundled_workloads, find_workload
from lmos.lists import parts_of
from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.processes.writing import checked_suffix, write_atomically
from lmos_opt.units import format_time, parse_time, whole_of
from runner.machine import this_machine

COLUMNS = ["workload", "places", "least load", "proved", "published", "time", "raw load", "raw bound", "raw time"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for, as typed."""

    workloads: Sequence[str]
    places: str
    time_limit: str
    raw_limit: str
    output: Path | None
    as_json: bool


def run(asked: Request) -> None:
    """Measure and print. Ends with 1 where an answer is wrong, or too far from the published one."""
    if asked.output is not None:
        checked_suffix(asked.output, [".csv"])
    limit_s, raw_s = parse_time(asked.time_limit, "--time-limit"), parse_time(asked.raw_limit, "--raw-limit")
    places = [_number(part) for part in parts_of(asked.places, "--places")]
    workloads = [find_workload(name) for name in asked.workloads or bundled_workloads()]
    found: list[Placement] = []
    with activity("sharing out") as tell:
        for one in measure(workloads, places, limit_s, raw_s, tell):
            found.append(one)
            for mistake in one.mistakes:
                err().print(f"lmos: {one.workload} at {one.places} places: {mistake}", soft_wrap=True)
            if asked.output is not None:
                write_atomically(asked.output, _csv(found))
    if asked.as_json:
        answer = {"machine": this_machine(1).model_dump(), "placements": [_plain(one) for one in found]}
        print_json(json.dumps(answer, indent=1) + "\n")
    else:
        proved = sum(one.is_proved for one in found)
        title = f"Least largest loads over equal places, {proved} of {len(found)} proved to be least"
        out().print(table(title, COLUMNS, [_row(one) for one in found], left=[0]))
    if any(one.mistakes for one in found):
        raise typer.Exit(1)


def _number(text: str) -> int:
    found = whole_of(text)
    if found is None or found < 2:
        raise InputError("--places", f"{text!r:.60}: expected numbers of places from 2 on, such as 2,3,4,6")
    return found


def _row(one: Placement) -> list[str]:
    raw = ["-"] * 3
    if one.raw is not None:
        load = format_time(one.raw.load_s) if isfinite(one.raw.load_s) else "none"
        raw = [load, "optimal" if one.raw.is_optimal else format_time(one.raw.bound_s), f"{one.raw.seconds:.1f} s"]
    proved = "least" if one.is_proved else f"{1 - one.bound_s / one.load_s:.2%} below"
    published = "-" if one.optimum_s is None else f"{round(one.load_s / one.optimum_s - 1, 4) + 0.0:+.2%}"
    return [one.workload, str(one.places), format_time(one.load_s), proved, published, f"{one.seconds:.1f} s", *raw]


def _plain(one: Placement) -> dict[str, object]:
    """A row of the file: what HiGHS says under `raw_`."""
    found = asdict(one)
    raw = found.pop("raw") or {}
    return {**found, **{f"raw_{key}": None if value == float("inf") else value for key, value in raw.items()}}


def _csv(found: Sequence[Placement]) -> bytes:
    text = io.StringIO()
    rows = [_plain(one) for one in found]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
