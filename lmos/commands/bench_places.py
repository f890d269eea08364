"""`lmos bench places`: plans over several places, beside the whole network, beside predictions, and pipelined."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.lists import names_of, parts_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_time, parse_rate
from measurement.processor import processors

if TYPE_CHECKING:
    from lmos.bench.placing import Equality, Placed


class Misplaced(LmosError):
    """An output differs, predictions are further off than this project allows itself, or a pipeline is slower."""


def run(networks: str | None, cuts: int, timed_networks: str, rates: str, images: int, seed: int, as_json: bool) -> None:
    """Measure and print; Misplaced if a promise is not kept, InputError for a rate that is none."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of places", "torch")
    from lmos.bench.placing import NETWORKS, equality, is_as_promised, placed, thirds, timed

    hops, timed_names = parts_of(rates, "--rates"), names_of(timed_networks, "--timed") if timed_networks else []
    for rate in hops:
        parse_rate(rate, "--rates")
    names = NETWORKS if networks is None else names_of(networks, "--networks")
    with activity("starting") as tell, TemporaryDirectory() as folder:
        equal = [equality(name, len(hops) + 1, cuts, seed, tell) for name in names if cuts]
        found = []
        for name in timed_names:
            profile = timed(name)
            for turned in {tuple(hops): None, tuple(reversed(hops)): None}:
                tell(f"running {name} over {' and '.join(turned)}")
                found.append(placed(profile, thirds(profile, len(hops) + 1), turned, images, Path(folder)))
    if as_json:
        print_json(json.dumps({"schema": "lmos.bench-places/1", "equal": [asdict(one) for one in equal],
                               "placed": [{**asdict(one), "error": one.error, "slowest": one.slowest, "share": one.share,
                                           "reachable": one.reachable}
                                          for one in found]}, indent=1) + "\n")  # fmt: skip
    else:
        _print(equal, found)
    if not is_as_promised(equal, found):
        raise Misplaced("outputs differ, or a prediction or a pipeline is not as promised")


def _print(equal: Sequence[Equality], found: Sequence[Placed]) -> None:
    if equal:
        cuts, bad = sum(one.cuts for one in equal), [f"{one.network} {cut}" for one in equal for cut in one.differing]
        out().print(f"{counted(len(equal), 'network')} over {equal[0].n_places} processes, {counted(cuts, 'cut')}: "
                    f"{len(bad)} with other outputs than the whole network" + (f": {', '.join(bad)}" if bad else ""))
    if found:
        stages = list(found[0].predicted)
        rows = [[one.network, ", ".join(one.rates), *(f"{format_time(one.predicted[s])} / {format_time(one.measured[s])}"
                                                      for s in stages),
                 f"{100 * one.error:+.1f} %", one.slowest, f"{one.images_per_s:.2f}", f"{one.share:.2f}"] for one in found]
        out().print(table(f"Predicted / measured (median of {counted(found[0].images, 'image')}), a process of one thread a place",
                          ["network", "hops", *stages, "error", "slowest", "pipelined, 1/s", "share"], rows, left=[0, 1]))
        out().print(f"latency off by {100 * median(abs(one.error) for one in found):.1f} % in the median; the least share of what "
                    f"the slowest stage allows: {min(one.share for one in found):.2f}")
        least = min(one.reachable for one in found)
        if least < 1:
            out().print(f"places share {counted(processors(), 'processor')} here, which allows {least:.2f} of it at the "
                        "least: slower --rates make a hop the slowest stage")
