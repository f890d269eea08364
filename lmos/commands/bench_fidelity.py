"""`lmos bench fidelity`: estimated losses beside true ones, and whether a limit that the search keeps holds on other inputs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, out, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.processes.writing import write_atomically
from lmos_opt.units import counted

if TYPE_CHECKING:
    from lmos.bench.estimates import Agreement, Row, Subject
    from runner.lab.fidelity.splits import LossReport

LIMIT = 0.01
"""Of the digits' losses: what the search is to keep."""


class LimitBroken(LmosError):
    """A split that the search finds within the limit loses more on the inputs that were held out."""


def run(networks: str, names: str | None, seed: int, output: Path | None) -> None:
    """Measure and print. InputError for other networks or codecs; LimitBroken if the limit does not hold; MissingExtraError
    without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of losses", "torch")
    from lmos.bench.estimates import CODECS, agreement, compare, squeezenet, within

    subjects = {"digits": digits, "squeezenet1_1": squeezenet}
    wanted = names_of(networks, "--networks", [*subjects])
    if output is not None and output.suffix.lower() != ".csv":
        raise InputError(str(output), f"has the suffix {output.suffix!r}; a table is written as .csv")
    codecs = CODECS if names is None else tuple(names_of(names, "--codecs"))
    rows: list[Row] = []
    kept: list[LossReport] = []
    with activity("starting") as tell:
        for name in wanted:
            subject = subjects[name](seed)
            found = compare(subject, codecs, seed, tell)
            rows += found.rows
            if name == "digits":
                tell("digits: splits within the limit")
                kept = within(found, subject.inputs, seed, LIMIT)
    if output is not None:
        write_atomically(output, _csv(rows).encode())
    for name in wanted:
        of_it = [row for row in rows if row.network == name]
        groups = {codec: [row for row in of_it if row.codec == codec] for codec in codecs} | {"all": of_it}
        for how, fine in (("by its mean", [row for row in of_it if row.estimated <= LIMIT]),
                          ("by its upper end", [row for row in of_it if row.upper <= LIMIT])):
            broken = sum(row.measured > LIMIT for row in fine)
            out().print(f"{name}: of {len(fine)} pairs of cut and codec within {LIMIT:.0%} {how}, {broken} lose more in truth")
        out().print(_table(name, {group: agreement(some) for group, some in groups.items()}))
    if kept:
        worst = max(kept, key=lambda one: one.measured)
        text = (f"digits: {counted(len(kept), 'split')} that the search finds within {LIMIT:.0%}; on "
                f"{counted(worst.on.inputs, 'input')} held out the most lost is {worst.measured:.2%} (up to {worst.high or 0:.2%} "
                "with 95 % confidence)")  # fmt: skip
        out().print(text, soft_wrap=True)
        if worst.measured > LIMIT:
            raise LimitBroken(f"{worst.codec} loses {worst.measured:.2%}, estimated {worst.estimated or 0:.2%}")


def digits(seed: int) -> Subject:
    """The network of the digits, trained here, on the pictures that it was not trained with."""
    from lmos.bench.estimates import Subject
    from lmos.paper.making.digits import load_digits, trained
    from runner.images import Images
    from runner.images.labelled import Labelled

    data = load_digits()
    right = tuple(frozenset((int(k),)) for k in data.test_classes)
    names = [f"digit {k}" for k in range(len(right))]
    images = Images(f"{len(names)} digits of scikit-learn", names, lambda k: data.test[k : k + 1])
    return Subject("digits", "lmos.paper.making.digits:network", f"seeded:{seed}", trained(data, seed), Labelled(images, right))


def _table(name: str, found: dict[str, Agreement]) -> object:
    lines = [[codec, str(one.rows), _known(one.of_losses), _known(one.of_errors), f"{one.miss:+.2%}",
              f"{one.at.estimated:.2%} and {one.at.measured:.2%} after {one.at.x1} layers, {one.at.codec}"]
             for codec, one in found.items()]  # fmt: skip
    columns = ["codec", "cuts", "ranks of losses", "ranks of errors", "largest miss", "estimated and measured"]
    return table(f"{name}: estimated losses beside measured ones", columns, lines, left=[0, 5])


def _known(value: float | None) -> str:
    return "all alike" if value is None else f"{value:.3f}"


def _csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*asdict(rows[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    return stream.getvalue()
