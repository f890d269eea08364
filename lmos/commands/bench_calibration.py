"""`lmos bench calibration`: errors of predicted times of whole networks, by cost models that were fitted without them."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from lmos.lists import names_of
from lmos.output import activity, out, print_json, table
from lmos_opt.errors import MissingExtraError
from lmos_opt.units import counted, format_time
from runner.machine import this_machine


def run(networks: str, output: Path | None, threads: int | None, as_json: bool) -> None:
    """Measure and print; InputError for a network that is none, MissingExtraError without torch or scikit-learn."""
    for module, extra in (("torch", "torch"), ("sklearn", "calibration")):
        if find_spec(module) is None:
            raise MissingExtraError("the benchmark of cost models", extra)
    import torch

    from lmos.bench.calibration import compare, middle

    names = names_of(networks, "--networks")
    with activity("timing") as tell, TemporaryDirectory() as folder:
        found = compare(names, output or Path(folder), threads, tell)
    machine = this_machine(threads or torch.get_num_threads())
    errors, micro_errors = [one.error for one in found], [one.micro_error for one in found]
    median_error, worst_error, alone = middle(errors), max(map(abs, errors)), middle(micro_errors)
    if as_json:
        rows = [{**asdict(one), "error": one.error, "micro_error": one.micro_error} for one in found]
        print_json(json.dumps({"machine": machine.model_dump(), "median_error": median_error, "worst_error": worst_error,
                               "median_micro_error": alone, "networks": rows}, indent=1) + "\n")  # fmt: skip
        return
    shown = [[one.network, format_time(one.measured_s), format_time(one.left_out_s), f"{100 * one.error:+.1f} %",
              format_time(one.micro_s), f"{100 * one.micro_error:+.1f} %"] for one in found]  # fmt: skip
    columns = ["network", "measured", "left out", "error", "micro-benchmarks alone", "error"]
    out().print(table(f"Whole networks, one image, {counted(machine.threads, 'thread')}, {machine.cpu}", columns, shown, left=[0]))
    out().print(f"fitted without the network: off by {100 * median_error:.1f} % in the median, {100 * worst_error:.1f} % at worst; "
                f"micro-benchmarks alone: {100 * alone:.1f} % in the median")
