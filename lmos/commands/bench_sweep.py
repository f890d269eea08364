"""`lmos bench sweep`: how much faster several processes are."""

from __future__ import annotations

import json

from lmos.bench.sweeping import measure
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import MissingExtraError
from lmos_opt.units import counted
from runner.machine import this_machine


def run(fronts: int, workers: int, as_json: bool) -> None:
    """Measure and print; MissingExtraError without `distributed`."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise MissingExtraError("the benchmark of sweeps", "dask") from None
    with activity("finding fronts") as tell:
        timings = measure(fronts, workers, lambda way: tell(f"finding {counted(fronts, 'front')}: {way}"))
    machine = this_machine(1)
    if as_json:
        found = {"machine": machine.model_dump(), "timings": [timing.to_dict() for timing in timings]}
        print_json(json.dumps(found, indent=1) + "\n")
        return
    rows = [[timing.way, str(timing.workers), f"{timing.seconds:.1f} s", f"{1e3 * timing.seconds / timing.fronts:.1f} ms",
             f"{timing.speed_up:.2f}"] for timing in timings]  # fmt: skip
    n_fronts = counted(timings[0].fronts, "front")
    title = f"{n_fronts}, {counted(machine.cores, 'core')}, {machine.cpu}; the files are equal, and right"
    out().print(table(title, ["way", "workers", "time", "a front", "speed-up"], rows, left=[0]))
