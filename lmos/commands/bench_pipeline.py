"""`lmos bench pipeline`: pipelined throughput beside what the slowest stage allows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_time

if TYPE_CHECKING:
    from lmos.bench.pipelining import Outcome


class Slow(LmosError):
    """A pipelined run is slower than its slowest stage by more than this project allows itself."""


def run(n: int, only: str | None, as_json: bool) -> None:
    """Measure and print; Slow if a promise is not kept, InputError for a stage that is none."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of pipelined runs", "torch")
    from lmos.bench.pipelining import CASES, measure

    names = [case.slowest for case in CASES]
    wanted = names if only is None else names_of(only, "--only", names)
    with activity("starting") as tell, TemporaryDirectory() as folder:
        found = [measure(case, n, Path(folder), tell) for case in CASES if case.slowest in wanted]
    faults = [one.fault for one in found if one.fault is not None]
    if as_json:
        rows = [{**asdict(one), "slowest": one.slowest, "share": one.share, "fault": one.fault} for one in found]
        print_json(json.dumps({"schema": "lmos.bench-pipeline/1", "cases": rows}, indent=1) + "\n")
    else:
        out().print(_table(found, n))
    if faults:
        raise Slow("; ".join(faults))


def _table(found: Sequence[Outcome], n: int) -> object:
    rows = []
    for one in found:
        stages = [f"{format_time(one.alone_s[stage])} / {format_time(one.pipelined_s[stage])}" for stage in one.alone_s]
        rows.append([one.slowest, f"{one.case.network}, cut {one.case.x1}, {one.case.link}", *stages,
                     f"{one.alone_images_per_s:.2f}", f"{one.images_per_s:.2f} ({one.whole_images_per_s:.2f})",
                     f"{one.share:.2f}"])  # fmt: skip
    title = (f"{counted(n, 'image')} pipelined over loopback, one thread a side; stages: medians alone / in the pipelined run "
             "('link' there "
             "with the wait at the server)\nimages/s: steady state, with the run's beginning and end in brackets; share: of what "
             "the slowest stage alone allows")  # fmt: skip
    return table(title, ["slowest", "what", "edge", "link", "server", "one by one, 1/s", "pipelined, 1/s", "share"], rows,
                 left=[0, 1])  # fmt: skip
