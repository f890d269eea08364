"""`lmos bench sweep`: the same fronts of VGG19 in one process, in several, and on Dask clusters of one worker and of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd

from lmos_opt.errors import LmosError
from lmos_opt.instance import Instance
from lmos_opt.processes.parquet import read_frame
from lmos_opt.split import all_splits
from lmos_opt.sweeps.grids import Grid
from lmos_opt.sweeps.running import run_sweep

NETWORK = "vgg19"


class DifferentTablesError(LmosError):
    """A way that gave another file than one process, or fronts that are not those of all cuts: `way` names it."""

    def __init__(self, way: str, truth: str = "one process gave another file") -> None:
        self.way = way
        super().__init__(f"{way}: {truth}")


@dataclass(frozen=True)
class Timing:
    """One way of finding all fronts: its wall time, with starting up processes but not a cluster, and how often faster than the
    first way of its kind."""

    way: str
    workers: int
    fronts: int
    seconds: float
    speed_up: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def grid(fronts: int) -> Grid:
    """At least so many fronts: as many bandwidths from 1 to 100 Mbps as memory limits from 50 to 700 MB."""
    side = isqrt(max(fronts, 1) - 1) + 1
    return Grid(sources=(NETWORK,), chunk=max(1, min(100, side * side // 20)), over={
        "bandwidth": {"from": "1Mbps", "to": "100Mbps", "count": side, "spacing": "log"},
        "memory": {"from": "50MB", "to": "700MB", "count": side},
    })  # fmt: skip


def measure(fronts: int, workers: int, on_way: Callable[[str], None] = lambda way: None) -> list[Timing]:
    """Every way once. DifferentTablesError unless all give the same file, and its fronts are those of all cuts."""
    asked = grid(fronts)
    found: list[Timing] = []
    with TemporaryDirectory() as folder:
        first = Path(folder, "first.parquet")
        run_sweep(grid(1), first, jobs=1)  # imports are paid by nobody
        first.unlink()
        for way, number, on_dask in (("one process", 1, False), ("processes (joblib)", workers, False),
                                     ("one Dask worker", 1, True), ("Dask workers", workers, True)):  # fmt: skip
            on_way(way)
            output = first if not found else Path(folder, "next.parquet")
            with _cluster(number, Path(folder)) if on_dask else _nothing() as address:
                start = perf_counter()
                swept = run_sweep(asked, output, jobs=number, dask=address)
                seconds = perf_counter() - start
            if output != first:
                if output.read_bytes() != first.read_bytes():
                    raise DifferentTablesError(way)
                output.unlink()
            alone = next((one.seconds for one in found[2:] if on_dask), found[0].seconds if found and not on_dask else seconds)
            found.append(Timing(way, number, swept.fronts, seconds, alone / seconds))
        check(read_frame(first), asked)
    return found


def check(table: pd.DataFrame, asked: Grid) -> None:
    """DifferentTablesError unless each front is what is left of all cuts, each evaluated by itself."""
    (_, built), = asked.instances()
    for rate, fronts in table.groupby("bandwidth_bytes_per_s"):
        cuts = [(split.times.latency_s, split.memory_bytes) for split in all_splits(_at(built, float(str(rate))))]
        for limit, rows in fronts.groupby("memory_limit_bytes"):
            fitting = {cut for cut in cuts if cut[1] <= int(str(limit))}
            best = {a for a in fitting if not any(b != a and b[0] <= a[0] and b[1] >= a[1] for b in fitting)}
            if sorted(zip(rows["latency"], rows["memory"], strict=True)) != sorted(best):
                raise DifferentTablesError("one process", f"the front at {rate} B/s and {limit} B is not that of all cuts")


def _at(instance: Instance, rate: float) -> Instance:
    return instance.replace(bandwidth_bytes_per_s=rate)


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _cluster(workers: int, folder: Path) -> Iterator[str]:
    """The address of a cluster whose workers have imported what they need."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        for _ in range(2):
            run_sweep(grid(16), folder / "warm.parquet", dask=cluster.scheduler_address)
            (folder / "warm.parquet").unlink()
        yield cluster.scheduler_address
