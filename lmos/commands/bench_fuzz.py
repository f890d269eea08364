"""`lmos bench fuzz`: mutated conversations, in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec

from lmos.output import activity, out, print_json
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_size, format_time


class Crashed(LmosError):
    """Something else came of an input than an event or the peer's fault."""


def run(n: int, seed: int, only: Sequence[int], as_json: bool) -> None:
    """Play and print; Crashed where an input did harm, MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of the protocol", "torch")
    from lmos.bench.faults.fuzz import fuzz

    total = len(only) or n
    with activity("playing") as tell:
        found = fuzz(only or range(n), seed, total, lambda done: tell(f"{done} of {counted(total, 'input')}"))
    if as_json:
        print_json(json.dumps({**vars(found), "crashes": [asdict(crash) for crash in found.crashes]}, indent=1) + "\n")
    else:
        ends = ", ".join(f"{count} {end}" for end, count in found.ends.most_common())
        out().print(f"{counted(found.inputs, 'input')} in {found.seconds:.0f} s: {ends}; memory grew by "
                    f"{format_size(found.growth_bytes)}; "
                    f"the slowest took {format_time(found.slowest_s)} (--only {found.slowest})")
        for crash in found.crashes:
            out().print(f"--seed {seed} --only {crash.number}: {crash.what}")
    if found.crashes:
        raise Crashed(f"{len(found.crashes)} of {counted(found.inputs, 'input')} were neither refused nor understood")
