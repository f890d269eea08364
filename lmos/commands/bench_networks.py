"""`lmos bench networks`: every classifier of torchvision, as a table or as the page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.processes.writing import checked_suffix, write_atomically
from lmos_opt.units import counted

if TYPE_CHECKING:
    from lmos.bench.networks import Surveyed

COLUMNS = ("network", "layers", "GMACs", "parameters", "output", "seconds")
_PAGE = """\
# Networks: every classifier of torchvision

`lmos profile NAME` gives {profiled} of torchvision {version}'s {all} classifiers as layers with their real graph, at
granularity `module` and for an input of 3x224x224 (`--input` changes it). The seconds are the time to build, trace and
digest a network on the machine that made this page ({machine}); the median is {median:.1f} s.
Importing torch and torchvision takes some seconds more, once. Tracing uses shapes alone, and the digest reads the weights piece
by piece, so the largest network needs no more memory than the smallest.

This command wrote the page (here with `--only`, for a few networks):

```sh
lmos bench networks --only 'squeezenet*' -o networks.md
```

{table}
"""


def run(only: str, output: Path | None, as_json: bool) -> None:
    """Profile and print, or write the page. InputError if none matches, MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("profiling networks", "torch")
    from lmos.bench.networks import classifiers, survey

    if output is not None:
        checked_suffix(output, [".md"])
    names = classifiers(only)
    if not names:
        raise InputError("--only", f"{only!r} matches no classifier of torchvision")
    with activity("profiling") as tell:
        found = survey(names, tell)
    if output is not None:
        write_atomically(output, page(found).encode())
    if as_json:
        print_json(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    else:
        out().print(table(f"{len(found)} classifiers of torchvision", COLUMNS, [_row(one) for one in found], left=[0]))


def page(found: Sequence[Surveyed]) -> str:
    """The page of the documentation."""
    import torchvision

    from runner.machine import this_machine

    machine = this_machine(1)
    rows = [f"| {' | '.join(_row(one))} |" for one in found]
    header = [f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    profiled = [one for one in found if one.reason is None]
    return _PAGE.format(profiled=len(profiled) if len(profiled) < len(found) else "all", all=len(found),
                        version=torchvision.__version__.partition("+")[0],
                        machine=f"{counted(machine.cores, 'core')} of {machine.cpu}",
                        median=median([one.seconds for one in profiled] or [0.0]),
                        table="\n".join([*header, *rows]))  # fmt: skip


def _row(one: Surveyed) -> list[str]:
    if one.reason is not None:
        return [one.network, one.reason.replace("|", "/"), "", "", "", ""]
    return [one.network, str(one.layers), f"{one.gmacs:.3f}", f"{one.params:,}", "x".join(map(str, one.output)),
            f"{one.seconds:.2f}"]  # fmt: skip
