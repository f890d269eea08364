"""`lmos bench parts`: parts of networks on onnxruntime beside the same on torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, out, print_json, say, table
from lmos_opt.errors import LmosError
from lmos_opt.units import counted, format_size
from runner.errors import Interrupted

if TYPE_CHECKING:
    from lmos.bench.engine_agreement import Agreement, WholeNumbers

MOST = 1e-4
"""How far outputs may be apart, relative to their largest number."""
COLUMNS = ("network", "layers", "cuts", "what crosses is off by", "outputs are off by", "same classes")


class Differ(LmosError):
    """Parts on onnxruntime give other numbers or classes than those on torch."""


def run(networks: str, cuts: int, integers: bool, as_json: bool) -> None:
    """Run both parts of each cut, and print; a line on standard error tells of each network when it is done.

    InputError for what cannot be had here; Differ where numbers or classes differ; Interrupted after what is done is printed.
    """
    from lmos.bench.engine_agreement import Subject, agreement, whole_numbers

    names = names_of(networks, "--networks")
    found: list[Agreement] = []
    small: WholeNumbers | None = None
    interrupted = False
    try:
        with activity("starting") as tell, TemporaryDirectory() as folder:
            for name in names:
                tell(f"{name}: building")
                found.append(agreement(Subject.of(name), cuts, tell))
                say(_in_words(found[-1]))
            if integers:
                tell("making 8-bit integers of a network")
                small, _ = whole_numbers(Path(folder), cuts)
    except KeyboardInterrupt:
        interrupted = True
    if as_json:
        both = {"networks": [asdict(one) for one in found], "integers": None if small is None else asdict(small),
                "complete": not interrupted}  # fmt: skip
        print_json(json.dumps(both, indent=1) + "\n")
    else:
        out().print(table("both parts on onnxruntime beside torch", COLUMNS, [_row(one) for one in found], left=[0]))
        if small is not None:
            out().print(_of_integers(small), soft_wrap=True)
    for one in found:
        worst = max(one.crossing_error, one.output_error)
        if worst > MOST or one.same_classes not in (None, one.inputs):
            raise Differ(f"{one.network}: numbers are off by {worst:.2g}, expected at most {MOST}; {_classes(one)} classes equal")
    if interrupted:
        raise Interrupted(f"interrupted after {len(found)} of {counted(len(names), 'network')}")


def _in_words(one: Agreement) -> str:
    classes = _classes(one)
    return (f"{one.network}: {counted(one.cuts, 'cut')}, outputs off by {one.output_error:.1e}"
            + (f", same classes on {classes}" if classes else ""))  # fmt: skip


def _row(one: Agreement) -> list[str]:
    return [one.network, str(one.layers), str(one.cuts), f"{one.crossing_error:.1e}", f"{one.output_error:.1e}", _classes(one)]


def _classes(one: Agreement) -> str:
    if one.same_classes is None:
        return ""
    return f"{one.same_classes} of {one.inputs}" + (", all outputs alike" if one.spread <= MOST else "")


def _of_integers(small: WholeNumbers) -> str:
    crossing = ", ".join(f"{format_size(theirs)} ({format_size(ours)})" for ours, theirs in small.crossing_bytes)
    ours, theirs = small.weight_bytes
    return (f"{small.network} in 8-bit integers (in brackets in float32): weights {format_size(theirs)} ({format_size(ours)}); "
            f"crossing {crossing}; the same class on {small.same_classes} of {small.pictures} pictures")
