"""`lmos reproduce`: the paper's tables and figures beside the paper's numbers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lmos import paper as experiments
from lmos.output import err
from lmos.paper.making import drawing, measured, page, provenance
from lmos.paper.making.experiment import Experiment, Shown
from lmos.paper.making.lab import Lab
from lmos_opt.cache import Cache
from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.processes.writing import write_atomically
from runner.errors import RunnerError

if TYPE_CHECKING:
    import pandas as pd

MEASURED = "Measured on this machine, edge and server two processes, the link held to the paper's 10 Mbps"
CACHE = "cache"
"""The folder of kept results inside the output folder."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos reproduce` is asked for; of no `names`, all of them.

    `measure` runs all that the paper measured (True), nothing (False), or a short part of it, where torch is installed (None).
    """

    names: Sequence[str]
    output: Path
    seed: int
    solver: str
    jobs: int | None
    dask: str | None
    measure: bool | None


def run(request: Request) -> None:
    """Make the experiments that are asked for; what could not be made is said, and named on the page.

    Raises InputError for an unknown name or a folder that cannot be written, MissingExtraError if an experiment that
    was asked for by name needs what is not installed.
    """
    every = [experiments.get(name) for name in experiments.names()]
    chosen = [experiments.get(name) for name in dict.fromkeys(request.names)] or every
    output = request.output
    folder = Folder(output)
    folder.make()
    command = shlex.join(["lmos", *sys.argv[1:]])
    with _progress(len(chosen)) as (tell, step):
        for experiment in chosen:
            tell(experiment.name)
            lab = Lab(Cache(output / CACHE), seed=request.seed, solver=request.solver, jobs=request.jobs, dask=request.dask,
                      on_step=step)  # fmt: skip
            try:
                line = _make(lab, experiment, folder, command, request.measure)
            except MissingExtraError as error:
                if experiment.name in request.names:
                    raise
                folder.section(experiment).write_text(page.skipped(experiment, str(error)))
                line = f"not computed: {error}"
            err().print(f"{experiment.name}: {line}", soft_wrap=True)
    page.save_page(output / "index.html", [(experiment, folder.read(experiment)) for experiment in every])
    err().print(f"the page: {output / 'index.html'}", soft_wrap=True)


@dataclass(frozen=True)
class Folder:
    """The output folder."""

    path: Path

    def make(self) -> None:
        """Make it, and the one for sections."""
        try:
            (self.path / CACHE).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(str(self.path), f"cannot be a folder: {(error.strerror or str(error)).lower()}") from None

    def section(self, experiment: Experiment) -> Path:
        """Where an experiment's part of the page is kept, so that one made today and one made tomorrow share a page."""
        return self.path / CACHE / f"section-{experiment.name}.html"

    def read(self, experiment: Experiment) -> str | None:
        """That part, if there is one."""
        path = self.section(experiment)
        return path.read_text() if path.exists() else None


def _make(lab: Lab, experiment: Experiment, folder: Folder, command: str, measure: bool | None) -> str:
    """Compute, write and account for one experiment; a line about it."""
    start = perf_counter()
    result = experiment.run(lab)
    files = [folder.path / f"{experiment.name}.csv"]
    write_atomically(files[0], result.frame.to_csv(index=False, lineterminator="\n").encode())
    found, remark = _measure(lab, experiment, measure)
    if found is not None:
        files.append(folder.path / f"{experiment.name}.measured.csv")
        write_atomically(files[-1], found.to_csv(index=False, lineterminator="\n").encode())
        result = replace(result, tables=(*result.tables, Shown(MEASURED, found)))
    picture = None
    if experiment.draw is not None:
        try:
            picture = drawing.png(experiment.draw, result.frame)
        except MissingExtraError as error:
            remark += f"; no picture: {error}"
        else:
            files.append(folder.path / f"{experiment.name}.png")
            write_atomically(files[-1], picture)
    seconds = perf_counter() - start
    account = provenance.provenance(lab, experiment.name, command, files, seconds)
    provenance.save(account, folder.path / f"{experiment.name}.provenance.json")
    write_atomically(folder.section(experiment), page.section(experiment, result, picture, account).encode())
    return f"{seconds:.1f} s, {lab.computed} results computed, {lab.reused} from the cache{remark}"


def _measure(lab: Lab, experiment: Experiment, measure: bool | None) -> tuple[pd.DataFrame | None, str]:
    """What was measured for an experiment, if anything, and a remark where that could not be."""
    if measure is False or (measure is None and find_spec("torch") is None):
        return None, ""
    try:
        return measured.measure(lab, experiment.name, bool(measure)), ""
    except RunnerError as error:
        if measure:
            raise
        return None, f"; not measured: {error}"


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[int, int], None]]]:
    """Bars on standard error: the experiments, and the steps of the one under way. Bars show on terminals only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        whole, part = progress.add_task("experiments", total=total), progress.add_task("", total=None)
        started = False

        def tell(name: str) -> None:
            nonlocal started
            progress.advance(whole, int(started))
            started = True
            progress.reset(part, description=name, total=None)

        yield tell, lambda done, of: progress.update(part, completed=done, total=of)
