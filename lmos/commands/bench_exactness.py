"""`lmos bench exactness`: how many fronts of random instances are wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lmos.bench.exactness import Kind, Verdict, verdicts
from lmos.output import err, out, table
from lmos_opt import solvers
from lmos_opt.processes.writing import checked_suffix, write_atomically
from lmos_opt.units import counted

COLUMNS = ("seed", "memory_model", "shape", "style", "layers", "objectives", "constrain", "memory_limit_bytes", "proper_split",
           "points", "solves", "seconds", "incomplete", "mistakes")  # fmt: skip
"""Of the CSV file, a row for each front. `incomplete` is the reason, `mistakes` their number; both are empty if there is none."""


@dataclass(frozen=True)
class Seeds:
    """Which cases: n from `first` on, or `only` those, of a kind."""

    n: int
    first: int
    only: Sequence[int] = ()
    kind: Kind = field(default_factory=Kind)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(set(self.only)) or range(self.first, self.first + self.n))


def run(asked: Seeds, jobs: int, solver: str, output: Path | None) -> None:
    """Judge the fronts of the cases; wrong ones are named on standard error as they come.

    Raises InputError for an unknown solver or file suffix. Ends with 1 where a front is wrong, and after Ctrl-C, when what
    was judged before is written and printed.
    """
    solvers.get(solver).version()
    if output is not None:
        checked_suffix(output, [".csv"])
    seeds = [*asked]
    found: list[Verdict] = []
    interrupted = False
    start = perf_counter()
    try:
        with progress("fronts", 2 * len(seeds)) as advance:
            for verdict in verdicts(seeds, solver, jobs, asked.kind):
                found.append(verdict)
                advance()
                if verdict.is_wrong or verdict.incomplete:
                    _tell(verdict, solver, asked.kind)
    except KeyboardInterrupt:
        interrupted = True
    seconds = perf_counter() - start
    found.sort(key=lambda v: (v.case.seed, v.memory_model))
    if output is not None:
        write_atomically(output, _csv(found))
    out().print(_summary(found, f"{solver} {solvers.get(solver).version()}, {jobs} at a time, {seconds:.0f} s in all"))
    if interrupted:
        err().print(f"lmos: interrupted after {len(found)} of {counted(2 * len(seeds), 'front')}", soft_wrap=True)
    if interrupted or any(verdict.is_wrong for verdict in found):
        raise typer.Exit(1)


def _tell(verdict: Verdict, solver: str, kind: Kind) -> None:
    """A front that is wrong or incomplete, and how to make it again."""
    asked = verdict.case
    what = f"seed {asked.seed}, {verdict.memory_model}, {','.join(asked.objectives)}, {asked.instance.name}"
    why = [*verdict.mistakes, *([f"incomplete: {verdict.incomplete}"] if verdict.incomplete else [])]
    for line in why:
        err().print(f"{what}: {line}", soft_wrap=True)
    chosen = ("" if kind.places is None else f" --places {kind.places}") + (" --scenarios" if kind.scenarios else "")
    chosen += " --codecs" if kind.codecs else ""
    err().print(f"  again: lmos bench exactness --only {asked.seed} --solver {solver}{chosen}", soft_wrap=True)


def _summary(found: Sequence[Verdict], how: str) -> object:
    """A row for each style of numbers, and one for all of them."""
    styles = sorted({verdict.case.style for verdict in found})
    groups = [(style, [v for v in found if v.case.style == style]) for style in styles]
    rows = [[name, *_counted(group)] for name, group in [*groups, ("all", list(found))]]
    columns = ["numbers", "instances", "fronts", "points", "wrong", "incomplete", "seconds", "slowest"]
    return table(f"Fronts of random instances beside enumeration; {how}", columns, rows, left=[0])


def _counted(group: Sequence[Verdict]) -> list[str]:
    return [str(len({v.case.seed for v in group})), str(len(group)), str(sum(v.points for v in group)),
            str(sum(v.is_wrong for v in group)), str(sum(v.incomplete is not None for v in group)),
            f"{sum(v.seconds for v in group):.1f}", f"{max((v.seconds for v in group), default=0):.1f}"]


def _csv(found: Sequence[Verdict]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for v in found:
        asked, instance = v.case, v.case.instance
        writer.writerow([asked.seed, v.memory_model, asked.shape, asked.style, len(instance.layers), " ".join(asked.objectives),
                         asked.constrain, instance.memory_limit_bytes, str(asked.proper_split).lower(), v.points, v.solves,
                         f"{v.seconds:.4f}", v.incomplete, len(v.mistakes) or None])
    return text.getvalue().encode()


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error; on terminals only. What it gives is called when one more is done."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
