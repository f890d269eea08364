"""`lmos bench adapt`: a run that adapts beside every fixed cut, over a link that changes in steps."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lmos.lists import parts_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import InputError, LmosError, MissingExtraError
from lmos_opt.units import counted, format_rate, format_size, format_time, parse_rate

if TYPE_CHECKING:
    from lmos.bench.adapting.contest import Outcome


class TooSlow(LmosError):
    """In some step the run that adapted was slower than it may be, or images were lost."""


def run(network: str, steps: str, images: int, share: float, as_json: bool) -> None:
    """Run the course and print; InputError for rates that are none, TooSlow where adapting was not good enough."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of adaptation", "torch")
    rates = [parse_rate(rate, "--steps") for rate in parts_of(steps, "--steps")]
    from lmos.bench.adapting.contest import LIMIT, contest
    from lmos.bench.adapting.course import CHUNK

    if images % CHUNK:
        raise InputError("-n", f"{images} is not a multiple of {CHUNK}: fixed cuts run in turns after so many images")
    with activity("starting") as tell:
        outcome = contest(network, rates, images, share, tell)
    report = outcome.report
    if as_json:
        found = {"network": network, "share": outcome.share, "lost": report.lost,
                 "steps": [{**asdict(step), "best": step.best, "ratio": step.ratio} for step in outcome.steps],
                 "changes": [change.model_dump() for change in report.adaptation]}  # fmt: skip
        print_json(json.dumps(found, indent=1) + "\n")
    else:
        _print(network, outcome)
    if not outcome.is_good:
        worst = max(outcome.steps, key=lambda step: step.ratio)
        raise TooSlow(f"{counted(report.lost, 'image')} lost, at worst {worst.ratio:.3f} of the best fixed cut's latency, at "
                      f"{format_rate(worst.rate_bytes_per_s)}; at most {LIMIT} is allowed")


def _print(network: str, outcome: Outcome) -> None:
    from lmos.bench.adapting.contest import LIMIT

    report = outcome.report
    rows = [[format_rate(step.rate_bytes_per_s), *(format_time(step.fixed_s[x1]) for x1 in sorted(step.fixed_s)), str(step.best),
             format_time(step.adaptive_s), f"{step.ratio:.3f}", str(step.changes)] for step in outcome.steps]
    cuts = [counted(x1, 'layer') for x1 in sorted(outcome.steps[0].fixed_s)]
    out().print(table(f"{network}, {counted(outcome.steps[0].images, 'image')} a step, mean latencies; an edge that has "
                      f"{outcome.share:.3f} of a processor; at most {LIMIT} of the best fixed cut is allowed",
                      ["link", *cuts, "best fixed cut", "adaptive", "of the best", "changes"], rows, left=[0]))  # fmt: skip
    for change in report.adaptation:
        out().print(f"image {change.at_image}: {change.x1_before} to {counted(change.x1_after, 'layer')} at the edge: "
                    f"{change.reason}")
    assert report.adapted is not None
    out().print(f"{report.lost} lost of {counted(report.images, 'image')}, {report.fallbacks} finished at the edge; "
                f"{counted(report.adapted.probes, 'probe')}, {format_size(report.adapted.probed_bytes)}")
