"""`lmos bench predictions`: how far predictions are from what the runner measures, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec

from lmos.bench.predictions import by_stage, compare, middle, worst
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import MissingExtraError
from lmos_opt.units import counted, format_time, parse_rate
from runner.machine import this_machine


def run(networks: str, images: int, bandwidth: str, as_json: bool) -> None:
    """Measure and print; InputError for a rate or a network that is none, MissingExtraError without torch."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of predictions", "torch")
    import torch

    from lmos.bench.predictions import SHARES

    parse_rate(bandwidth)
    with activity("timing") as tell:
        found = compare(networks.split(","), SHARES, images, bandwidth, tell)
    machine = this_machine(torch.get_num_threads())
    if as_json:
        rows = [{**asdict(one), "error": one.error} for one in found]
        print_json(json.dumps({"machine": machine.model_dump(), "median_error": middle(found), "worst_error": worst(found),
                               "by_stage_s": by_stage(found),
                               "cuts": rows}, indent=1) + "\n")  # fmt: skip
        return
    rows_shown = [[one.network, f"{one.x1} of {one.x1 + one.x2}",
                   *(f"{format_time(one.predicted[stage])} / {format_time(one.measured[stage])}" for stage in one.predicted),
                   f"{100 * one.error:+.1f} %"] for one in found]  # fmt: skip
    title = (f"Predicted / measured (median of {counted(images, 'image')}), edge and server two processes, {bandwidth}, "
             f"{counted(machine.cores, 'core')}, {machine.cpu}")
    out().print(table(title, ["network", "at the edge", "edge", "link", "server", "latency", "error"], rows_shown, left=[0, 1]))
    out().print("in the median, predicted less measured: " +
                ", ".join(f"{stage} {1e3 * seconds:+.2f} ms" for stage, seconds in by_stage(found).items()))
    out().print(f"latency off by {100 * middle(found):.1f} % in the median, {100 * worst(found):.1f} % at worst")
