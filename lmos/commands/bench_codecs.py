"""`lmos bench codecs`: what codecs make of the tensors of every cut, and of the classes behind it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos.lists import names_of, parts_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.processes.writing import write_atomically
from lmos_opt.units import counted, format_time, whole_of

if TYPE_CHECKING:
    from lmos.bench.codec_cuts import Row

PROMISED = "int8"


class PromiseBroken(LmosError):
    """A cut where int8 changes a class, or takes more bytes than it should."""


def run(network: str, names: str, cuts: str, pictures: int | None, output: Path | None, as_json: bool) -> None:
    """Measure and print. InputError for what is no network, codec or cut; PromiseBroken where trained weights show that
    int8 does not keep its promise; MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of codecs", "torch")
    from lmos.bench.codec_cuts import bench, summaries
    from lmos.profiles import weights_of

    if output is not None and output.suffix.lower() != ".csv":
        raise InputError(str(output), f"has the suffix {output.suffix!r}; a table is written as .csv")
    codecs, numbers = names_of(names, "--codecs"), _cuts(cuts)
    weights = weights_of(network if ":" in network else f"torchvision:{network}", None)
    with activity("starting") as tell:
        rows = bench(network, weights, codecs, numbers, pictures, tell)
    if output is not None:
        write_atomically(output, _csv(rows).encode())
    summary = summaries(rows)
    if as_json:
        print_json(json.dumps({"network": network, "weights": weights, "codecs": summary}, indent=1) + "\n")
    else:
        out().print(_table(network, weights, rows, summary))
    broken = [row for row in rows if row.codec == PROMISED and not row.keeps_its_promise]
    if broken and not weights.startswith("seeded:"):
        worst = broken[0]
        raise PromiseBroken(f"{PROMISED} after {worst.last_layer}: {worst.top1_agree} of {worst.pictures} classes as without it, "
                            f"in {worst.ratio:.4f} of the bytes; {counted(len(broken), 'cut')} like this")


def _cuts(text: str) -> list[int] | None:
    if text == "all":
        return None
    found = [whole_of(part) for part in parts_of(text, "--cuts")]
    if None in found:
        raise InputError("--cuts", f"{text!r} is neither 'all' nor numbers of layers such as 0,5,21")
    return [one for one in found if one is not None]


def _table(network: str, weights: str, rows: Sequence[Row], summary: Sequence[dict[str, Any]]) -> object:
    lines = [[
        one["codec"], str(one["cuts"]), f"{one['least_ratio']:.3f} / {one['mean_ratio']:.3f} / {one['largest_ratio']:.4f}",
        format_time(one["encode_s_per_mb"]), format_time(one["decode_s_per_mb"]), f"{one['top1_agree']} of {one['pictures']}",
        f"{one['max_logit_difference']:.3g}",
    ] for one in summary]  # fmt: skip
    columns = ["codec", "splits", "bytes left (least / mean / most)", "encode 1 MB", "decode 1 MB", "same class", "logits off by"]
    return table(f"{network}, {weights}: {counted(rows[0].pictures, 'picture')} at every split", columns, lines, left=[0])


def _csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*asdict(rows[0]), "ratio"])
    for row in rows:
        writer.writerow([*({**asdict(row), "crossing": " ".join(row.crossing)}.values()), row.ratio])
    return stream.getvalue()
