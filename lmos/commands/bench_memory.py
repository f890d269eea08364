"""`lmos bench memory`: the memory model `peak` beside what heads really take, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_size


class Apart(LmosError):
    """A head took another amount of memory than the model says."""


def run(networks: str, cuts: int, as_json: bool) -> None:
    """Measure and print; Apart where a cut is further off than it may be, InputError for a network that is none,
    MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of memory", "torch")
    from lmos.bench.memory import NEAR, NEAR_BYTES, measure

    names = names_of(networks, "--networks")
    with activity("measuring") as tell:
        found = measure(names, [(k + 0.5) / cuts for k in range(cuts)], tell)
    allowed = f"{100 * NEAR:.0f} % or {format_size(NEAR_BYTES)}"
    if as_json:
        rows = [{**asdict(one), "difference_bytes": one.difference_bytes, "is_near": one.is_near} for one in found]
        print_json(json.dumps({"allowed": allowed, "cuts": rows}, indent=1) + "\n")
    else:
        shown = [[one.network, f"{one.x1} of {one.x1 + one.x2}", format_size(one.peak_bytes), format_size(one.measured_bytes),
                  f"{one.difference_bytes / 1e6:+.1f} MB", f"{100 * one.difference_bytes / one.peak_bytes:+.0f} %",
                  "yes" if one.is_near else "no"] for one in found]  # fmt: skip
        out().print(table("Memory of the head, each cut in a process of its own", ["network", "at the edge", "peak", "measured",
                          "difference", "of peak", f"within {allowed}"], shown, left=[0, 1]))  # fmt: skip
    far = [one for one in found if not one.is_near]
    if far:
        raise Apart(f"further than {allowed} from the model: {len(far)} of {counted(len(found), 'cut')}; the first: "
                    f"{far[0].network}, {counted(far[0].x1, 'layer')}")
