"""`lmos bench exactness --kind milp`: how many fronts of random Pyomo models are wrong."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import typer

from lmos.bench.programs.cases import Case, cases, smallest
from lmos.bench.programs.families import FAMILIES, family, seeds
from lmos.bench.programs.judging import Outcome
from lmos.commands.bench_exactness import progress
from lmos.output import err, out, print_json, table
from lmos_opt import solvers
from lmos_opt.processes.writing import checked_suffix, write_atomically

COLUMNS = ("seed", "family", "columns", "rows", "objectives", "points", "outcome", "seconds", "reason", "mistakes")
"""Of the CSV file, a row for each model."""
MOST_INCOMPLETE = 0.03
"""Share of the models whose front may end without being whole."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Asked:
    """Which models: n from the seed `first` on in each of the families in turn, or `only` those; `shrink` failures are shrunk."""

    n: int
    first: int
    only: Sequence[int]
    families: Sequence[str]
    shrink: int


def run(asked: Asked, jobs: int, solver: str, output: Path | None, as_json: bool) -> None:
    """Judge the fronts of the models; those that are wrong are named as they come, then the smallest like them are printed.

    Raises InputError for an unknown solver, family, seed or file suffix. Ends with 1 where a front is wrong, where one is
    refused or incomplete without a cause, where over MOST_INCOMPLETE of them are incomplete, and after Ctrl-C.
    """
    solvers.get(solver).version()
    if output is not None:
        checked_suffix(output, [".csv"])
    wanted = sorted(set(asked.only)) or seeds(list(asked.families) or list(FAMILIES), asked.first, asked.n)
    for seed in wanted:
        family(seed)
    found: list[Case] = []
    small: list[Case] = []
    interrupted = False
    start = perf_counter()
    try:
        with progress("models", len(wanted)) as advance:
            for case in cases(wanted, solver, jobs):
                found.append(case)
                advance()
                _tell(case)
        failures = [case for case in found if case.verdict.is_bad]
        with progress("models made smaller", min(asked.shrink, len(failures))) as advance:
            for case in smallest(failures, solver, jobs, asked.shrink):
                small.append(case)
                advance()
    except KeyboardInterrupt:
        interrupted = True
    seconds = perf_counter() - start
    found.sort(key=lambda case: case.seed)
    if output is not None:
        write_atomically(output, _csv(found))
    how = f"{solver} {solvers.get(solver).version()}, {jobs} at a time, {seconds:.0f} s in all"
    if as_json:
        print_json(json.dumps(_document(found, small, how), indent=1) + "\n")
    else:
        out().print(_summary(found, how))
        out().print(f"seeds: {_ranges(wanted)}", soft_wrap=True)
        for case in small:
            out().print(f"\n{case.script()}", soft_wrap=True, end="")
    if interrupted:
        err().print(f"lmos: interrupted after {len(found)} of {len(wanted)} models", soft_wrap=True)
    if interrupted or _fails(found):
        raise typer.Exit(1)


def _fails(found: Sequence[Case]) -> bool:
    incomplete = sum(case.verdict.outcome == "incomplete" for case in found)
    return any(case.verdict.is_bad for case in found) or incomplete > MOST_INCOMPLETE * len(found)


def _tell(case: Case) -> None:
    """A model whose front is wrong or incomplete, and how to make it again."""
    verdict = case.verdict
    if verdict.is_bad or verdict.outcome == "incomplete":
        why = "; ".join(verdict.mistakes) or f"incomplete: {verdict.reason}"
        err().print(f"{case.family} {verdict.outcome}, --kind milp --only {case.seed}: {why}", soft_wrap=True)


def _counted(group: Sequence[Case]) -> dict[str, Any]:
    outcomes = Counter(case.verdict.outcome for case in group)
    slowest = max(group, key=lambda case: case.verdict.seconds, default=None)
    return {
        "models": len(group), "points": sum(case.verdict.points for case in group), **{o: outcomes[o] for o in OUTCOMES},
        "seconds": sum(case.verdict.seconds for case in group), "slowest_s": slowest.verdict.seconds if slowest else 0.0,
        "slowest_seed": slowest.seed if slowest else None,
    }  # fmt: skip


def _groups(found: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    names = [name for name in FAMILIES if any(case.family == name for case in found)]
    return [*((name, [case for case in found if case.family == name]) for name in names), ("all", list(found))]


def _summary(found: Sequence[Case], how: str) -> object:
    """A row for each family, and one for all."""
    rows = []
    for name, group in _groups(found):
        counted = _counted(group)
        shares = [f"{counted[o]} ({100 * counted[o] / max(1, len(group)):.1f} %)" for o in OUTCOMES[1:]]
        rows.append([name, str(counted["models"]), str(counted["points"]), *shares, f"{counted['seconds']:.1f}",
                     f"{counted['slowest_s']:.1f}", str(counted["slowest_seed"])])  # fmt: skip
    columns = ["family", "models", "points", *OUTCOMES[1:], "seconds", "slowest", "its seed"]
    return table(f"Fronts of random models beside enumeration in fractions; {how}", columns, rows, left=[0])


def _document(found: Sequence[Case], small: Sequence[Case], how: str) -> dict[str, Any]:
    others = [case for case in found if case.verdict.outcome != "right"]
    stated = [{"seed": case.seed, "family": case.family, "outcome": case.verdict.outcome, "reason": case.verdict.reason,
               "mistakes": list(case.verdict.mistakes)} for case in others]  # fmt: skip
    return {"schema": "lmos.bench-exactness-milp/1", "how": how, "seeds": _ranges([case.seed for case in found]),
            "families": {name: _counted(group) for name, group in _groups(found)}, "not_right": stated,
            "smallest": [{"seed": case.seed, "script": case.script()} for case in small]}  # fmt: skip


def _ranges(numbers: Sequence[int]) -> str:
    """Seeds as `0-999, 1000000-1000999`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def _csv(found: Sequence[Case]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for case in found:
        p, v = case.program, case.verdict
        writer.writerow([case.seed, case.family, len(p.columns), len(p.rows), len(p.goals), v.points, v.outcome,
                         f"{v.seconds:.4f}", v.reason, "; ".join(v.mistakes) or None])  # fmt: skip
    return text.getvalue().encode()
