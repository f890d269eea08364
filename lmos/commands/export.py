"""`lmos export`: the parts of a plan for other runtimes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lmos.output import activity, out, print_json, say, table
from lmos_opt.errors import LmosError, of_file
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.plans.keys import LAYER_KEYS
from lmos_opt.units import format_size
from measurement.networks import parse_builder
from runner.parts.exported import ExportedPart
from runner.parts.exporting import export_plan, names_of_parts

WORST = 1e-4
"""Relative difference to torch above which an export is not to be trusted: float32 sums in another order stay far below."""


class Differs(LmosError):
    """What was written computes something else than torch."""


def run(plan: Path, output: Path, to: str, networks: Sequence[str], weights: Path | None, *,
        whole: bool = False, as_json: bool = False) -> None:  # fmt: skip
    """Raises what `export_plan` raises, and Differs, after the files are written."""
    cut = Plan.load(plan)
    check_runnable(cut, str(plan))
    with of_file(plan, LAYER_KEYS), activity(f"exporting the parts of {plan}"):
        written = export_plan(cut, output, to, networks=[parse_builder(name) for name in networks],
                              weights=None if weights is None else f"file:{weights}", whole=whole)
    if as_json:
        print_json(json.dumps([_record(part) for part in written], indent=1) + "\n")
    else:
        rows = [[part.path.name, ", ".join(part.inputs), ", ".join(part.outputs), format_size(part.path.stat().st_size),
                 f"{part.difference:.1e}"] for part in written]
        out().print(table(str(output), ["file", "takes", "returns", "size", "differs from torch by"], rows, left=[0, 1, 2]))
    for name, count in zip(names_of_parts(cut), cut.counts, strict=True):
        if count and name not in {part.part for part in written}:
            say(f"{name} has no file: it would return nothing, and no other part needs its layers")
    for part in written:
        if not part.difference <= WORST:
            raise Differs(f"{part.path}: differs from torch by {part.difference:.1e} of the largest output, more than {WORST:g}")


def _record(part: ExportedPart) -> dict[str, object]:
    return {"half": part.part, "file": str(part.path), "inputs": part.inputs, "outputs": part.outputs,
            "difference": part.difference}  # fmt: skip
