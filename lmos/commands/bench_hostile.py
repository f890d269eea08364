"""`lmos bench hostile`: hostile connections to a server that honest edges use."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from lmos.output import activity, out, print_json
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_size, format_time


class Harmed(LmosError):
    """Hostile connections did what they must not."""


def run(n: int, rounds: int, concurrent: int, rate_per_s: float, seed: int, middle: bool, as_json: bool) -> None:
    """Attack and print; Harmed where that did harm, RunnerError if an honest edge was not served at all."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of hostile connections", "torch")
    from lmos.bench.faults.hostile import withstand

    with activity("attacking") as tell, TemporaryDirectory() as folder:
        found = withstand(n, rounds, concurrent, rate_per_s, Path(folder), seed,
                          lambda done: tell(f"{done} of {counted(n, 'hostile connection')}"), middle)  # fmt: skip
    if as_json:
        print_json(json.dumps({**vars(found), "p95_s": found.p95_s, "ratio": found.ratio, "faults": found.faults}, indent=1)
                   + "\n")  # fmt: skip
    else:
        ends = ", ".join(f"{count} {end}" for end, count in found.ends.most_common())
        alone, meanwhile = map(format_time, found.p95_s)
        out().print(f"{counted(found.connections, 'hostile connection')} in {found.seconds:.0f} s, {concurrent} at once: {ends}")
        out().print(f"honest exchanges (p95): {alone} alone, {meanwhile} meanwhile: {found.ratio:.2f} times; {found.wrong} wrong "
                    f"of {len(found.alone_s) + len(found.meanwhile_s)}")
        out().print(f"honest newcomers had their first answer after {format_time(median(found.newcomers_s))} (median), "
                    f"{format_time(max(found.newcomers_s))} (longest)")
        out().print(f"server: memory grew by {format_size(found.growth_bytes)}, {found.descriptors[0]} descriptors before and "
                    f"{found.descriptors[1]} after, {counted(found.threads[0], 'thread')} before and {found.threads[1]} after")
    if found.faults:
        raise Harmed("; ".join(found.faults))
