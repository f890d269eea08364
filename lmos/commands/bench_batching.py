"""`lmos bench batching`: a server's throughput with several edges, one image after another and in batches."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos.output import activity, out, print_json, table
from lmos_opt.errors import MissingExtraError
from lmos_opt.units import counted


def run(edges: int, n: int, threads: int, as_json: bool) -> None:
    """Measure and print."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of batches", "torch")
    from lmos.bench.batching import CASES, measure

    with activity("starting") as tell, TemporaryDirectory() as folder:
        found = [measure(case, edges, n, threads, Path(folder), tell) for case in CASES]
    if as_json:
        rows = [{**asdict(one), "gain": one.gain} for one in found]
        print_json(json.dumps({"schema": "lmos.bench-batching/1", "threads": threads, "cases": rows}, indent=1) + "\n")
        return
    cells = [[one.case.network, str(one.case.x1), _rates(one.single), _rates(one.batched), f"{one.gain:.2f}"] for one in found]
    title = (f"{counted(edges, 'edge')} on one server with {counted(threads, 'thread')}, {counted(n, 'image')} each a round: "
             "images a second, least .. most of rounds")
    out().print(table(title, ["network", "cut", "one by one", f"batches up to {edges}", "times"], cells, left=[0]))



def _rates(values: list[float]) -> str:
    return f"{min(values):.1f} .. {max(values):.1f}"
