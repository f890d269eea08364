"""`lmos bench soak`: a long run of small exchanges."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_size


class Grown(LmosError):
    """Memory or open descriptors grew with the number of exchanges."""


def run(n: int, session: int, as_json: bool) -> None:
    """Soak and print; Grown where something grew, RunnerError if an answer is missing or wrong."""
    if find_spec("torch") is None:
        raise MissingExtraError("the soak", "torch")
    from lmos.bench.faults.soak import NETWORK, X1, soak

    with activity("soaking") as tell, TemporaryDirectory() as folder:
        found = soak(n, session, Path(folder), lambda done: tell(f"{done} of {counted(n, 'exchange')}"))
    sides = {"edge": found.edge, "server": found.server}
    if as_json:
        print_json(json.dumps({**asdict(found), "growth": {name: side.growth for name, side in sides.items()}}, indent=1) + "\n")
    else:
        rows = [[name, *map(format_size, side.tenths), f"{100 * side.growth:+.2f} %",
                 f"{side.descriptors[0]} / {side.descriptors[-1]}", f"{side.threads[0]} / {side.threads[-1]}"]
                for name, side in sides.items()]  # fmt: skip
        out().print(table(f"{counted(n, 'exchange')} in {found.seconds:.0f} s over {counted(found.connections, 'connection')}, "
                          f"{NETWORK}, {counted(X1, 'layer')} at the edge",
                          ["", "memory, second tenth", "last tenth", "growth", "descriptors, first / last",
                                          "threads, first / last"], rows, left=[0]))  # fmt: skip
    grown = [name for name, side in sides.items() if not side.is_flat]
    if grown:
        raise Grown(f"memory or open descriptors grew at the {' and the '.join(grown)}")
