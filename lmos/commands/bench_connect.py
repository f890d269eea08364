"""`lmos bench connect`: one's own arrays from Python beside `lmos run --pipeline`."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted

if TYPE_CHECKING:
    from lmos.bench.connecting import Outcome


class Broken(LmosError):
    """Outputs are wrong or missing, or arrays are slower than pictures by more than this project allows itself."""


def run(n: int, rounds: int, seed: int, as_json: bool) -> None:
    """Measure and print; Broken if a promise is not kept."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of connections from Python", "torch")
    from lmos.bench.connecting import measure

    with activity("starting") as tell, TemporaryDirectory() as folder:
        found = measure(n, rounds, Path(folder), seed, tell)
    if as_json:
        print_json(json.dumps({"schema": "lmos.bench-connect/1", **asdict(found), "share": found.share, "fault": found.fault},
                              indent=1) + "\n")  # fmt: skip
    else:
        out().print(_table(found))
    if found.fault is not None:
        raise Broken(found.fault)


def _table(found: Outcome) -> object:
    rows = [[str(k), f"{run:.1f}", f"{ours:.1f}", f"{ours / run:.2f}"]
            for k, (run, ours) in enumerate(zip(found.run_images_per_s, found.connect_images_per_s, strict=True), 1)]  # fmt: skip
    title = (f"{counted(found.arrays, 'array')} a round through two processes, in turns; medians {found.share:.2f}\n"
             f"{found.wrong} wrong, {found.lost} missing, {found.fallbacks} finished at the edge; "
             f"{counted(found.restarts, 'restart')} of the server, {found.resent} sent again")
    return table(title, ["round", "lmos run --pipeline, 1/s", "connect, 1/s", "ratio"], rows, left=[])
