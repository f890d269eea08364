"""`lmos bench sweep`: the same sweep in one process, in several, and on a Dask cluster of as many workers on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import LmosError
from lmos_opt.instance import Instance
from lmos_opt.sources import load_source
from lmos_opt.sweep import sweep

if TYPE_CHECKING:
    import pandas as pd

NETWORKS = ("alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2")
RULES = ("lmos", "knee", "ideal", "min_latency", "slack:50")


class DifferentTablesError(LmosError):
    """Two ways gave different tables: `way` names the one that differs from one process."""

    def __init__(self, way: str) -> None:
        self.way = way
        super().__init__(f"{way} gave another table than one process")


@dataclass(frozen=True)
class Timing:
    """One way of finding all fronts: its wall time with starting up and shutting down, and how often faster than one process."""

    way: str
    workers: int
    fronts: int
    seconds: float
    speed_up: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def instances(fronts: int) -> list[Instance]:
    """That many different instances: the paper's networks in turn, each at the next bandwidth from 0.5 to 200 Mbps."""
    bases = [Instance.from_profile(load_source(name)) for name in NETWORKS]  # type: ignore[arg-type]
    return [bases[k % len(bases)].replace(bandwidth_bytes_per_s=62_500 * 400 ** (k / max(fronts - 1, 1))) for k in range(fronts)]


def measure(fronts: int, workers: int, on_way: Callable[[str], None] = lambda way: None) -> list[Timing]:
    """Every way once, one process first; DifferentTablesError unless all give the same table to the last bit."""
    cases = instances(fronts)
    sweep(cases[: len(NETWORKS)], RULES, jobs=1)  # imports are paid by nobody
    found: list[Timing] = []
    first: pd.DataFrame | None = None
    for way, number, cluster in (("one process", 1, nullcontext), ("processes (joblib)", workers, nullcontext),
                                 ("Dask workers", workers, lambda: _cluster(workers))):  # fmt: skip
        on_way(way)
        start = perf_counter()
        with cluster() as running:
            table = sweep(cases, RULES, jobs=number, dask=running and running.scheduler_address)
        seconds = perf_counter() - start
        if first is None:
            first = table
        elif not table.equals(first):
            raise DifferentTablesError(way)
        found.append(Timing(way, number, fronts, seconds, (found[0].seconds if found else seconds) / seconds))
    return found


def _cluster(workers: int) -> Any:
    from distributed import LocalCluster

    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
