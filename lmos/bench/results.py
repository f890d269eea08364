"""Runs summed up, and the files of a benchmark: results.csv, summary.csv, machine.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from lmos.bench.contest import Run
from lmos_opt.errors import InputError
from lmos_opt.processes.writing import write_atomically
from runner.machine import installed_versions, this_machine

PEER, OURS = "raw_highspy", "ours"
"""The contestants that the others' times are divided by."""
COLUMNS = ("suite", "instance", "kind", "size", "contestant", "repeat", "seconds", "solves", "points", "complete", "exact", "lost",
           "extra", "hypervolume", "truth", "note")  # fmt: skip
_PACKAGES = ("highspy", "pyomo", "networkx", "pymoo")


@dataclass(frozen=True)
class Summary:
    """A contestant on an instance. Times in s; solves and points of its last run; `exact` and `complete` of all its runs."""

    suite: str
    instance: str
    kind: str
    size: int
    contestant: str
    runs: int
    median_s: float
    q1_s: float
    q3_s: float
    ratio: float | None
    of_ours: float | None
    solves: int | None
    points: int
    complete: bool
    exact: bool | None
    hypervolume: float | None
    truth: str
    note: str


def summarize(runs: Sequence[Run]) -> list[Summary]:
    """One row for each contestant on each instance, in the order in which instances were run, the fastest first.

    `ratio` is the median over that of `raw_highspy` on the same instance, `of_ours` over that of this project's engine; None
    without that contestant, or where either did not come to its end.
    """
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.case.suite, run.case.name, run.contestant), []).append(run)
    whole_s = {key: median(r.seconds for r in group) for key, group in groups.items() if all(r.complete for r in group)}
    found = [_summary(group, *(whole_s.get((*key[:2], peer)) for peer in (PEER, OURS))) for key, group in groups.items()]
    places = list(dict.fromkeys(key[:2] for key in groups))
    return sorted(found, key=lambda s: (places.index((s.suite, s.instance)), s.median_s))


def _summary(group: Sequence[Run], peer_s: float | None, ours_s: float | None) -> Summary:
    last, seconds = group[-1], [run.seconds for run in group]
    q1, middle, q3 = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    complete = all(run.complete for run in group)
    exact = [run.exact for run in group if run.exact is not None]
    volumes = [run.hypervolume for run in group if run.hypervolume is not None]
    return Summary(
        last.case.suite, last.case.name, last.case.kind, last.case.size, last.contestant, len(group), middle, q1, q3,
        middle / peer_s if peer_s and complete else None, middle / ours_s if ours_s and complete else None,
        last.solves, last.points, complete, all(exact) if exact else None,
        median(volumes) if volumes else None, last.truth, last.note,
    )  # fmt: skip


def row(run: Run) -> tuple[Any, ...]:
    """A run as a row of results.csv."""
    case = run.case
    return (case.suite, case.name, case.kind, case.size, run.contestant, run.repeat, run.seconds, run.solves, run.points,
            run.complete, run.exact, run.lost, run.extra, run.hypervolume, run.truth, run.note)


def machine(settings: dict[str, Any]) -> dict[str, Any]:
    """The machine, the versions that the times depend on, and how the benchmark was asked for."""
    found = this_machine(threads=1).model_dump(mode="json")
    found["versions"].update(installed_versions(_PACKAGES))
    return {**found, "settings": settings}


def to_json(runs: Sequence[Run], settings: dict[str, Any]) -> str:
    """Everything as one JSON object: the machine, the summary and every run."""
    results = [dict(zip(COLUMNS, row(run), strict=True)) for run in runs]
    found = {"schema": "lmos.bench-solvers/1", "machine": machine(settings), "summary": list(map(asdict, summarize(runs))),
             "results": results}  # fmt: skip
    return json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def made_folder(path: Path) -> Path:
    """The folder of the results, made if need be; InputError if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"is no folder to write to: {(error.strerror or str(error)).lower()}") from None
    return path


def save(runs: Sequence[Run], folder: Path, settings: dict[str, Any]) -> None:
    """Write results.csv (a row for each run), summary.csv (a row for each contestant and instance) and machine.json."""
    rows = summarize(runs)
    write_atomically(folder / "results.csv", csv_of(COLUMNS, map(row, runs)))
    write_atomically(folder / "summary.csv", csv_of(Summary.__dataclass_fields__, (asdict(s).values() for s in rows)))
    write_atomically(folder / "machine.json", (json.dumps(machine(settings), indent=1) + "\n").encode())


def csv_of(columns: Any, rows: Any) -> bytes:
    """Absent values are empty, truth values `true` and `false`, as in JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([str(v).lower() if isinstance(v, bool) else v for v in values] for values in rows)
    return text.getvalue().encode()
