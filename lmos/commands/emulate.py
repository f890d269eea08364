"""`lmos emulate`: an edge with little memory and half a processor, a server, and a slow link, on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.output import activity, out, print_json
from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.units import format_rate, format_size, format_time, parse_rate, parse_size

if TYPE_CHECKING:
    from lmos.trial import Outcome, Trial
    from runner.lab.emulation.cgroups import Limits


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos emulate` is asked for, as typed: a path, or the link's rate, the edge's share of processors and its memory; n
    images."""

    network: str
    select: str
    path: str | None
    rate: str | None
    cpus: float | None
    memory: str | None
    n: int
    output: Path | None
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for options that cannot be used, CannotEmulate if this machine or this user cannot, RunnerError
    where a process of it fails."""
    if find_spec("torch") is None:
        raise MissingExtraError("emulating", "torch")
    from lmos.trial import Trial, emulate, parse_trial_path
    from measurement.networks import check_builder, parse_builder
    from runner.lab.emulation.signals import held_signals

    output = request.output
    check_builder(parse_builder(request.network))
    trial = Trial(request.network, request.select, *parse_trial_path(_path(request)), request.n)
    with held_signals() as signals, TemporaryDirectory(prefix="lmos-emulate-") as name, activity("emulating") as tell:
        outcome = emulate(trial, Path(name), signals, tell)
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            for file in trial.files:
                shutil.copyfile(Path(name) / file, output / file)
    if request.as_json:
        print_json(outcome.report.to_json())
    else:
        _print(trial, outcome)


def _path(request: Request) -> str:
    """The path as typed, or that of an edge and a server; InputError for options that do not go together."""
    two = {"--rate": request.rate, "--cpus": request.cpus, "--memory": request.memory}
    given = [option for option, value in two.items() if value is not None]
    if request.path is not None:
        if given:
            raise InputError("--path", f"says places and hops; leave out {', '.join(given)}")
        return request.path
    cpus = 0.5 if request.cpus is None else request.cpus
    if cpus <= 0:
        raise InputError("--cpus", f"{cpus:g} is no share of processors; expected more than 0")
    memory, rate = ("1GB" if request.memory is None else request.memory), ("10Mbps" if request.rate is None else request.rate)
    parse_size(memory, "--memory")
    parse_rate(rate, "--rate")
    return f"{cpus:g},{memory} > {rate} > all"


def _print(trial: Trial, outcome: Outcome) -> None:
    from lmos.commands.run import comparison
    from runner.lab.emulation.link import goodput_bytes_per_s

    report = outcome.report
    held = "" if outcome.edge_group_bytes is None else f", of which {format_size(outcome.edge_group_bytes)} were used at most"
    out().print(f"{trial.network}, rule {trial.rule}: {_about(trial.places[0])}{held}", soft_wrap=True)
    for name, limits, wire in zip(trial.names[1:], trial.places[1:], trial.wires, strict=True):
        delay = f", {format_time(wire.rtt_s)} a round trip" if wire.rtt_s else ""
        goodput = format_rate(goodput_bytes_per_s(wire.rate_bytes_per_s))
        out().print(f"then a link of {format_rate(wire.rate_bytes_per_s)} by tc tbf, {goodput} of which are TCP's{delay}; "
                    f"{name}: {_about(limits)}", soft_wrap=True)  # fmt: skip
    out().print(comparison(report))


def _about(limits: Limits) -> str:
    cpus = "all processors" if limits.cpus is None else f"{limits.cpus:g} processors"
    return f"{cpus} and {'no limit' if limits.memory_bytes is None else format_size(limits.memory_bytes)} of memory"
