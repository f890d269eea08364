"""`lmos sweep`: thousands of fronts, or what rules choose on them, into one Parquet file."""

from __future__ import annotations

from pathlib import Path

from lmos.output import activity, out
from lmos_opt.sweeps.grids import Grid
from lmos_opt.sweeps.running import run_sweep
from lmos_opt.units import counted


def run(file: Path, output: Path | None, jobs: int | None, dask: str | None) -> None:
    """Raises InputError as `run_sweep`."""
    grid = Grid.load(file)
    target = file.with_suffix(".parquet") if output is None else output
    with activity("sweeping") as tell:
        swept = run_sweep(grid, target, jobs=jobs, dask=dask, on_part=lambda done, n: tell(f"{done} of {counted(n, 'front')}"))
    kept = f", {swept.kept} were there already" if swept.kept else ""
    out().print(f"{target}: {counted(swept.fronts, 'front')}{kept}", soft_wrap=True)
