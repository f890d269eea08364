"""`lmos scenarios`: what a path's bandwidths may be, drawn from traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos.output import err, out, print_json, table
from lmos_opt.processes.writing import check_output
from lmos_opt.scenarios.records import ScenariosFile
from lmos_opt.traces.loading import load_trace
from lmos_opt.traces.sampling import Drawing, draw_scenarios
from lmos_opt.units import counted, format_rate, format_time, parse_time


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos scenarios` is asked for, as typed."""

    traces: Sequence[str]
    output: Path | None
    count: int
    block: str
    step: str
    seed: int
    worst_of: int
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for a trace that cannot be read, or no blocks of which can be drawn."""
    check_output(request.output, (".json",), **{f"trace_{k}": name for k, name in enumerate(request.traces, 1)})
    how = Drawing(request.count, parse_time(request.block, "--block"), parse_time(request.step, "--step"), request.seed,
                  request.worst_of)
    found = draw_scenarios([load_trace(name) for name in request.traces], how)
    if request.output is not None:
        found.save(request.output)
    if request.as_json:
        print_json(found.to_json())
    else:
        out().print(_table(found, how))
    if request.output is None and not request.as_json:
        err().print("nothing was written; name a file with -o")


def _table(found: ScenariosFile, how: Drawing) -> object:
    rows = []
    for h, mean in enumerate(found.bandwidth_bytes_per_s, 1):
        factors = [one.bandwidth_of(h) for one in found.scenarios]
        rtt = format_time(found.rtt_s[h - 1]) if found.rtt_s else "not known"
        rows.append([f"hop {h}", *(format_rate(mean * factor) for factor in (1.0, min(factors), max(factors))), rtt])
    title = (f"{counted(how.count, 'draw')} of {found.name} in blocks of {how.block_s:g} s: "
             f"{counted(len(found.scenarios), 'scenario')}")
    return table(title, ["", "mean of the trace", "least", "most", "longest round trip"], rows, left=[0])
