"""`lmos bench promises`: plans that keep a deadline beside others, in one replay of a trace's unseen half."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.units import counted, format_time, parse_percent, parse_time

if TYPE_CHECKING:
    from lmos.bench.promising.contest import Replay


class NotKept(LmosError):
    """On some trace the promise was kept too seldom, or images were lost."""


def run(network: str, traces: str, images: int, deadline: str | None, confidence: str, edge: str, *,
        as_json: bool) -> None:  # fmt: skip
    """Run the replays and print; InputError for a trace that is none, NotKept if the plan did not do what it promised."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of promises", "torch")
    from lmos.bench.promising.contest import LEAST_KEPT, Asked, contest

    percent = parse_percent(confidence, "--confidence")
    if not 0 < percent <= 100:
        raise InputError("--confidence", f"got {confidence!r:.40}; expected above 0 %, up to 100 %")
    deadline_s = None if deadline is None else parse_time(deadline, "--deadline")
    asked = Asked(network, parse_time(edge, "--edge"), images, deadline_s, percent / 100)
    names = names_of(traces, "--traces")
    with activity("starting") as tell:
        replays = contest(names, asked, tell)
    if as_json:
        print_json(json.dumps([{**asdict(one), "is_good": one.is_good} for one in replays],
                              default=lambda kept: kept.model_dump(), indent=1) + "\n")  # fmt: skip
    else:
        _print(network, replays)
    bad = [one.trace for one in replays if not one.is_good]
    if bad:
        raise NotKept(f"on {', '.join(bad)} the promise was kept by less than {100 * LEAST_KEPT:g} % of images, or some were lost")


def _print(network: str, replays: Sequence[Replay]) -> None:
    for replay in replays:
        rows = [[one.name, str(one.x1), f"{one.kept.kept} of {one.kept.images}", f"{100 * one.kept.share:.1f} %",
                 f"{100 * one.kept.low:.1f} % to {100 * one.kept.high:.1f} %", format_time(one.median_s), f"{one.energy_j:.3f} J",
                 str(one.lost)] for one in replay.contestants]  # fmt: skip
        title = (f"{network} over {replay.trace}@test, planned from {replay.trace}@train: {format_time(replay.deadline_s)}, "
                 f"{counted(replay.changes, 'change')} of the cut, {replay.seconds:.0f} s")
        columns = ["plan", "edge layers", "deadline kept", "", "95 % interval", "median", "energy an image", "lost"]
        out().print(table(title, columns, rows, left=[0]))
