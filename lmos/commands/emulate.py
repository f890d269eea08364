"""`lmos emulate`: an edge with little memory and half a processor, a server, and a slow link, on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.commands.watching import sigterm_like_ctrl_c
from lmos.output import activity, out, print_json
from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.units import format_rate, format_size, parse_rate, parse_size

if TYPE_CHECKING:
    from lmos.trial import Outcome, Trial

_FILES = ("edge.json", "server.json", "instance.json", "plan.json", "report.json")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos emulate` is asked for, as typed: the link's rate, the edge's share of processors and its memory, n images."""

    network: str
    select: str
    rate: str
    cpus: float
    memory: str
    n: int
    output: Path | None
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for options that cannot be used, CannotEmulate where this machine or this user cannot, RunnerError
    where a process of it fails."""
    if find_spec("torch") is None:
        raise MissingExtraError("emulating", "torch")
    from lmos.trial import Trial, emulate
    from runner.lab.emulation.cgroups import Limits

    output, cpus = request.output, request.cpus
    if cpus <= 0:
        raise InputError("--cpus", f"{cpus:g} is no share of processors; expected more than 0")
    limits = Limits(parse_size(request.memory, "--memory"), cpus)
    trial = Trial(request.network, request.select, parse_rate(request.rate, "--rate"), limits, request.n)
    with sigterm_like_ctrl_c(), TemporaryDirectory(prefix="lmos-emulate-") as name, activity("emulating") as tell:
        outcome = emulate(trial, Path(name), tell)
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            for file in _FILES:
                shutil.copyfile(Path(name) / file, output / file)
    if request.as_json:
        print_json(outcome.report.to_json())
    else:
        _print(trial, outcome)


def _print(trial: Trial, outcome: Outcome) -> None:
    from lmos.commands.run import comparison

    limits, report = trial.limits, outcome.report
    held = "" if outcome.edge_group_bytes is None else f", of which {format_size(outcome.edge_group_bytes)} were used at most"
    memory = "no limit" if limits.memory_bytes is None else format_size(limits.memory_bytes)
    goodput = report.plan.setting.bandwidth_bytes_per_s
    out().print(f"{trial.network}, rule {trial.rule}: edge with {limits.cpus:g} processors and {memory} of memory{held}; "
                f"link of {format_rate(trial.rate_bytes_per_s)} by tc tbf, {format_rate(goodput)} of which are TCP's")
    out().print(comparison(report))
