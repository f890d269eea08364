"""`lmos bench zoo`: architectures of many kinds, split at random cuts, as a table or as the page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.processes.writing import checked_suffix, write_atomically
from lmos_opt.units import parse_time

if TYPE_CHECKING:
    from lmos.bench.zoo.visit import Visited

COLUMNS = ("network", "layers", "whole parts", "GMACs", "parameters", "seconds", "cuts that differ")
_PAGE = """\
# The zoo: {traced} of {all} architectures traced, {different} of {cuts} cuts differ

`lmos bench zoo` builds these networks with seeded weights, traces each with the input that its source names, and splits it at five
random cuts: random edge sets that contain every layer that their layers read. It compares the result of head and tail with that of
the whole network, bit for bit. A whole part is a part that cannot be traced, or hides its structure; it stays one layer. The
seconds are the time that tracing took on one core (`torch.set_num_threads(1)`), {median:.1f} in the median.

This command wrote the page (here with `--names`, for a few networks). It needs `lmos[timm,hf]`, torchaudio and ultralytics:

```text
lmos bench zoo --names 'hf:bert,timm:lcnet*' -o zoo.md
```

{tables}
"""


class ZooError(LmosError):
    """Halves of a network that do not give what it gives whole."""


def run(names: str | None, timeout: str, output: Path | None, kept: Path | None, as_json: bool) -> None:
    """Visit and print, or write the page. InputError if no name matches, ZooError if a cut differs."""
    if find_spec("torch") is None:
        raise MissingExtraError("the zoo", "torch")
    from lmos.bench.zoo.names import zoo
    from lmos.bench.zoo.tour import resumed

    if output is not None:
        checked_suffix(output, [".md"])
    patterns = ["*"] if names is None else names_of(names, "--names")
    chosen = [name for name in zoo() if any(fnmatch(name, pattern) for pattern in patterns)]
    if not chosen:
        raise InputError("--names", f"{names!r} matches no network of the zoo")
    with activity("visiting") as tell:
        found = resumed(chosen, parse_time(timeout, "--timeout"), kept, tell)
    if output is not None:
        write_atomically(output, page(found).encode())
    if as_json:
        print_json(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    else:
        out().print(table(_in_words(found), COLUMNS, [_row(one) for one in found], left=[0]))
    different = [one.network for one in found if one.different]
    if different:
        raise ZooError(f"halves of {', '.join(different)} differ from the whole")


def _in_words(found: Sequence[Visited]) -> str:
    traced = [one for one in found if one.layers]
    return (f"{len(traced)} of {len(found)} networks traced, {sum(one.different for one in traced)} of "
            f"{sum(one.cuts for one in traced)} cuts differ")


def page(found: Sequence[Visited]) -> str:
    """The page of the documentation."""
    from lmos.bench.zoo.names import zoo

    families: dict[str, list[Visited]] = {}
    for one in found:
        families.setdefault(zoo()[one.network], []).append(one)
    header = [f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    tables = ["\n".join([f"## {family.capitalize()}", "", *header, *(f"| {' | '.join(_row(one))} |" for one in members)])
              for family, members in families.items()]  # fmt: skip
    traced = [one for one in found if one.layers]
    return _PAGE.format(traced=len(traced), all=len(found), different=sum(one.different for one in traced),
                        cuts=sum(one.cuts for one in traced), median=median([one.trace_s for one in traced] or [0.0]),
                        tables="\n\n".join(tables))  # fmt: skip


def _row(one: Visited) -> list[str]:
    name = one.network.removeprefix("own:")
    if not one.layers:
        return [name, (one.reason or "").replace("|", "/"), "", "", "", "", ""]
    return [name, str(one.layers), str(one.opaque or ""), f"{one.gmacs:.3f}", f"{one.params:,}", f"{one.trace_s:.1f}",
            f"{one.different} of {one.cuts}"]  # fmt: skip
