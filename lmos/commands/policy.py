"""`lmos policy`: what a rule chooses over a range of a hop's bandwidths, or of a place's memory limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lmos.front_request import FrontRequest, read
from lmos.output import activity, last_layers, last_of, out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.files import checked_suffix
from lmos_opt.policies.policy import SUFFIXES, Over, Policy
from lmos_opt.units import counted, format_size, format_time


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos policy` is asked for, as typed; `between` is the range, None for the default one."""

    front: FrontRequest
    select: str
    over: str
    between: str | None
    output: Path | None
    plot: Path | None
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError and InfeasibleError as `bandwidth_policy` and `memory_policy`."""
    output, plot = request.output, request.plot
    if output is not None:
        checked_suffix(output, SUFFIXES)
    if plot is not None:
        from lmos_opt.plots.policy import check_policy_plot

        check_policy_plot(plot)
    policy = _make_policy(request)
    if output is not None:
        policy.save(output)
    if plot is not None:
        from lmos_opt.plots.policy import save_policy_plot

        save_policy_plot(policy, plot)
    if request.as_json:
        print_json(policy.to_json())
    else:
        out().print(policy_table(policy))


def _make_policy(request: Request) -> Policy:
    """The policy that was asked for."""
    from lmos_opt.policies.policy_maps import bandwidth_policy, memory_policy

    asked, between, varied = request.front, request.between, Over.parse(request.over, "--over")
    options = asked.options
    given = {"bandwidth": options.bandwidth or "", "memory": options.memory or ""}[varied.kind].split(",")
    if fixed := "".join(given[varied.number - 1 : varied.number]):
        raise InputError(f"--{varied.kind}", f"is what the policy is over; expected --range LOW..HIGH instead of {fixed}")
    ends = () if between is None else ends_of(between, "--range", "1Mbps..200Mbps or 0..1GB")
    instance = read(asked).instance
    make: Any = partial(bandwidth_policy, hop=varied.number) if varied.kind == "bandwidth" else partial(
        memory_policy, place=varied.number)
    with activity("finding where the choice changes"):
        policy: Policy = make(instance, request.select, *ends, memory_model=asked.model, proper_split=asked.proper_split,
                              solver=asked.solver)
    return policy


def ends_of(between: str, option: str, example: str) -> tuple[str, str]:
    """The ends of `LOW..HIGH`; InputError for anything else."""
    low, dots, high = between.partition("..")
    if not dots or ".." in high:
        raise InputError(option, f"{between!r} is not a range; expected LOW..HIGH such as {example}")
    return low, high


def policy_table(policy: Policy) -> object:
    """The policy for people: a row a stretch."""
    n_places = max(len(stretch.counts) for stretch in policy.stretches)
    counts = [f"x{p}" for p in range(1, n_places + 1)]
    last = last_layers(n_places) if n_places == 2 else []  # of more there is no room; files have all layers
    columns = ["from", "to", *counts, "latency there", "and there", "memory", _crosses(policy, n_places), *last]
    rows = []
    for stretch in policy.stretches:
        ends = [_place(policy, stretch.low), _place(policy, stretch.high)]
        if stretch.crossing_bytes is None or stretch.memory_bytes is None:
            rows.append([*ends, *("-" for _ in columns[3:]), "no split is admitted" if last else "no split"])
            continue
        at = [policy.bandwidth_bytes_per_s or place for place in (stretch.low, stretch.high)]
        rows.append([*ends, *map(str, stretch.counts), *(format_time(stretch.latency_s(b)) for b in at),
                     format_size(stretch.memory_bytes), format_size(stretch.crossing_bytes),
                     *(last_of([stretch.edge_layers or (), ()]) if last else [])])  # fmt: skip
    title = f"{policy.instance}: rule {policy.rule} over {policy.over}, {counted(len(policy.breakpoints), 'change')}"
    return table(title, columns, rows, left=range(len(columns) - len(last), len(columns)))


def _crosses(policy: Policy, n_places: int) -> str:
    hop = policy.varied.number if policy.varied.kind == "bandwidth" else 1
    return "crosses" if n_places == 2 else f"crosses hop {hop}"


def _place(policy: Policy, place: float) -> str:
    """More digits than sizes and rates have elsewhere: these are exact places."""
    return f"{place * 8e-6:.7g} Mbps" if policy.varied.kind == "bandwidth" else f"{place:.0f} B"
