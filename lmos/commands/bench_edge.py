"""`lmos bench edge`: the edge without torch beside the edge with torch, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_size, format_time


class Larger(LmosError):
    """The edge without torch takes more than its share, or sees other classes."""


def run(networks: str, repeats: int, python: Path | None, as_json: bool) -> None:
    """Measure and print; Larger if the edge without torch is not what it should be, MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of edges", "torch")
    from lmos.bench.edges import MOST, measure

    names = names_of(networks, "--networks")
    with activity("measuring") as tell:
        found = measure(names, repeats, None if python is None else str(python), tell)
    if as_json:
        rows = [{**asdict(one), "start_up": one.start_up, "resident": one.resident, "is_small": one.is_small} for one in found]
        print_json(json.dumps({"most": MOST, "networks": rows}, indent=1) + "\n")
    else:
        shown = []
        for one in found:
            for what, runs, classes in (("with torch", one.with_torch, one.classes_with_torch),
                                        ("without", one.without, one.classes_without)):  # fmt: skip
                same = sum(ours == theirs for ours, theirs in zip(classes, one.classes, strict=True))
                shares = ("", "") if what == "with torch" else (f"{one.start_up:.3f}", f"{one.resident:.3f}")
                shown.append([one.network, what, format_time(median(run.seconds for run in runs)), shares[0],
                              format_size(median(run.resident_bytes for run in runs)), shares[1],
                              f"{same} of {len(one.classes)}"])  # fmt: skip
        out().print(table(f"An edge from its start to its end, one picture, {counted(repeats, 'run')} each in turns, medians",
                          ["network", "edge", "time", "share", "memory", "share", "classes as the whole's"], shown, left=[0, 1]))
    large = [one for one in found if not one.is_small]
    if large:
        one = large[0]
        raise Larger(f"{one.network}: {one.start_up:.3f} of the time and {one.resident:.3f} of the memory of an edge with torch, "
                     f"expected at most {MOST}; imported: {', '.join(one.heavy) or 'no large package'}")  # fmt: skip
