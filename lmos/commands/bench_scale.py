"""`lmos bench scale`: fronts of torchvision's classifiers, as a table or as the page of the documentation."""

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
from lmos_opt.units import counted, parse_time

if TYPE_CHECKING:
    from lmos.bench.scale import Scaled

COLUMNS = ("network", "memory model", "layers", "points", "algorithm", "splits", "solves", "LPs", "seconds")
_PAGE = """\
# Fronts of large networks: all classifiers of torchvision

{complete} of {all} fronts are complete: {networks} at granularity `module`, under both memory models, with the defaults
of `lmos front` (`rpi4`, 10 Mbps, `paper-server`, latency and memory). The seconds are processor time from an instance to its
front: {median:.2f} in the median, {slowest:.2f} for the slowest, {slowest_name}.
They were measured on {machine}.

`splits` is how many splits were examined. If a graph has few splits for its number of layers, `lmos front` examines all of
them, in arrays (`enumeration`). If a graph of 100 layers or more has many splits, it places one layer after another; of splits that
are alike for all later layers it keeps only the better ones (`layerwise`; there `splits` counts splits of some of the layers). Both
ways are exact and need no integer program, so they have no solves and no linear programs. In all other cases, and if
`--algorithm`, `--solver-option` or `--log` asks for it, `lmos front` searches an integer program.

This command wrote the page (here with `--only`, for a few networks):

```sh
lmos bench scale --only 'squeezenet*' -o scale.md
```

{table}
"""


def run(only: str, output: Path | None, kept: Path | None, time_limit: str, as_json: bool) -> None:
    """Find and print, or write the page. InputError if no network matches, MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("profiling networks", "torch")
    from lmos.bench.networks import classifiers
    from lmos.bench.scale import survey

    if output is not None:
        checked_suffix(output, [".md"])
    names = classifiers(only)
    if not names:
        raise InputError("--only", f"{only!r} matches no classifier of torchvision")
    with activity("tracing") as tell:
        found = list(survey(names, kept, parse_time(time_limit, "--time-limit"), tell))
    if output is not None:
        write_atomically(output, page(found).encode())
    if as_json:
        print_json(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    else:
        out().print(table(counted(len(found), "front"), COLUMNS, [_row(one) for one in found], left=[0, 1, 4]))


def page(found: Sequence[Scaled]) -> str:
    """The page of the documentation."""
    from runner.machine import this_machine

    machine = this_machine(1)
    header = [f"| {' | '.join(COLUMNS)} |", "| --- | --- | ---: | ---: | --- |" + " ---: |" * (len(COLUMNS) - 5)]
    slowest = max(found, key=lambda one: one.cpu_s)
    return _PAGE.format(complete=sum(one.reason is None for one in found), all=len(found),
                        networks=counted(len({one.network for one in found}), "network"),
                        median=median(one.cpu_s for one in found), slowest=slowest.cpu_s,
                        slowest_name=f"`{slowest.network}` ({slowest.memory_model})",
                        machine=f"{counted(machine.cores, 'core')} of {machine.cpu}",
                        table="\n".join([*header, *(f"| {' | '.join(_row(one))} |" for one in found)]))  # fmt: skip


def _row(one: Scaled) -> list[str]:
    points = str(one.points) if one.reason is None else f"{one.points}: {one.reason}".replace("|", "/")
    splits = "" if one.splits is None else f"{one.splits:,}"
    return [one.network, one.memory_model, str(one.layers), points, one.algorithm, splits, str(one.solves), str(one.lps),
            f"{one.cpu_s:.2f}"]  # fmt: skip
