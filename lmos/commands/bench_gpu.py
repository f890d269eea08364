"""`lmos bench gpu`: server parts on a GPU, their outputs and times beside the processor's and the predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

from lmos.output import activity, out, print_json, table
from lmos_opt.units import format_time

if TYPE_CHECKING:
    from lmos.bench.engine_cuts import EngineCut, EngineWhole

COLUMNS = ("network", "layers at the edge", "predicted t_server_s", "measured", "off by", "largest error")


def run(networks: Sequence[str], engine: str, precision: str, as_json: bool) -> None:
    """Build, time and run each network, and print. InputError for an engine that cannot be had here."""
    from lmos.bench.engine_cuts import surveyed
    from measurement.engines import get

    device = get(engine, precision).text
    with activity("building") as tell:
        wholes, cuts = surveyed(networks, engine, precision, tell)
    if as_json:
        found = {"engine": device, "wholes": [asdict(one) for one in wholes], "cuts": [asdict(one) for one in cuts]}
        print_json(json.dumps(found, indent=1) + "\n")
        return
    out().print(table(device, COLUMNS, [_row(cut) for cut in cuts], left=[0]))
    out().print(table("whole networks", ("network", "as the engine runs it", "called as it is", "ratio"), list(map(_whole, wholes)),
                      left=[0]))  # fmt: skip
    misses = [cut.miss for cut in cuts]
    out().print(f"off by {median(misses):.1%} in the median, {max(misses):.1%} at most; "
                f"largest error {max(cut.error for cut in cuts):.1e}")


def _row(cut: EngineCut) -> list[str]:
    return [cut.network, f"{cut.cut} of {cut.layers}", format_time(cut.predicted_s), format_time(cut.measured_s), f"{cut.miss:.1%}",
            f"{cut.error:.1e}"]  # fmt: skip


def _whole(one: EngineWhole) -> list[str]:
    return [one.network, format_time(one.part_s), format_time(one.called_s), f"{one.part_s / one.called_s:.2f}"]
