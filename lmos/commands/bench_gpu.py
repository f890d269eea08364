"""`lmos bench gpu`: server parts on a GPU, their outputs and times beside the processor's and the predictions."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.units import format_time

if TYPE_CHECKING:
    from lmos.bench.engine_cuts import EngineCut, EngineWhole

COLUMNS = ("network", "layers at the edge", "predicted t_server_s", "measured", "off by", "of the whole as torch calls it",
           "largest error")  # fmt: skip
WHOLES = ("network", "precision", "as the engine runs it", "as torch calls it", "ratio", "largest error")


def run(networks: str, engine: str, precision: str, others: str, as_json: bool) -> None:
    """Build, time and run each network, and print. InputError for an engine or a precision that cannot be had here."""
    import torch

    from lmos.bench.engine_cuts import surveyed
    from measurement.engines import get

    names, also = names_of(networks, "--networks"), names_of(others, "--also") if others else []
    device = get(engine, precision)
    with activity("building") as tell:
        wholes, cuts = surveyed(names, device, also, tell)
    title = f"{device.text}, torch {torch.__version__}"
    if as_json:
        found = {"engine": title, "wholes": [asdict(one) for one in wholes], "cuts": [asdict(one) for one in cuts]}
        print_json(json.dumps(found, indent=1) + "\n")
        return
    called = {one.network: one.called_s for one in wholes}
    out().print(table(title, COLUMNS, [_row(cut, called[cut.network]) for cut in cuts], left=[0]))
    out().print(table("whole networks", WHOLES, list(map(_whole, wholes)), left=[0, 1]))
    misses = [cut.miss for cut in cuts]
    out().print(f"off by {median(misses):.1%} in the median, {max(misses):.1%} at most; "
                f"largest error {max(cut.error for cut in cuts):.1e}")
    said = max(cuts, key=lambda cut: cut.error).engine
    if said:
        out().print(f"that run's report says: {said}", soft_wrap=True)


def _row(cut: EngineCut, called_s: float) -> list[str]:
    return [cut.network, f"{cut.cut} of {cut.layers}", format_time(cut.predicted_s), format_time(cut.measured_s), f"{cut.miss:.1%}",
            f"{cut.measured_s / called_s:.2f}", f"{cut.error:.1e}"]  # fmt: skip


def _whole(one: EngineWhole) -> list[str]:
    return [one.network, one.precision, format_time(one.part_s), format_time(one.called_s), f"{one.part_s / one.called_s:.2f}",
            f"{one.error:.1e}"]  # fmt: skip
