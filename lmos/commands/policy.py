"""`lmos policy`: what a rule chooses over a range of a hop's bandwidths, of a place's memory limits, or of a text's length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lmos.front_request import FrontRequest, read
from lmos.kept_profiles import is_network
from lmos.output import activity, last_layers, last_of, out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.policies.policy import SUFFIXES, Over, Policy
from lmos_opt.processes.writing import check_output
from lmos_opt.units import counted, format_size, format_time, whole_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos policy` is asked for, as typed; `between` is the range, None for the default one. `later` is a decoder's profile
    at the longer of two contexts."""

    front: FrontRequest
    select: str
    over: str
    between: str | None
    later: Path | None
    output: Path | None
    plot: Path | None
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError and InfeasibleError as `bandwidth_policy`, `memory_policy` and `context_policy`."""
    output, plot = request.output, request.plot
    check_output(output, SUFFIXES, source=request.front.source, later_profile=request.later)
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
    if varied.kind == "context":
        return _over_context(request)
    if request.later is not None or asked.prompt is not None:
        raise InputError("--prompt" if request.later is None else "--later", f"is for --over context; got --over {request.over}")
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


def _over_context(request: Request) -> Policy:
    """The policy of a decoder by name between the contexts of a range, or of two files."""
    from lmos_opt.policies.contexts import RULE, context_policy

    asked, later = request.front, request.later
    if request.select != RULE:
        raise InputError("--select", f"over a context there is {RULE}, of one more token, alone; got {request.select!r:.60}")
    if is_network(asked.source):
        if later is not None:
            raise InputError("--later", f"stands beside a file; {asked.source} is profiled at both ends of --range")
        if request.between is None:
            raise InputError("--range", "says between which contexts; expected LOW..HIGH such as 32..1024")
        low, high = (_tokens(end) for end in ends_of(request.between, "--range", "32..1024"))
        if not low < high:
            raise InputError("--range", f"{request.between} is empty; expected a shorter and a longer context")
        ends = [replace(asked, context=low), replace(asked, context=high)]
    else:
        if later is None or request.between is not None:
            raise (InputError("--later", "is missing; --over context needs a decoder: its profiles with a shorter context (SOURCE) "
                                         "and a longer one (--later), or hf:DIRECTORY and --range")
                   if later is None else InputError("--range", "is given by the two profiles; leave it out"))  # fmt: skip
        ends = [asked, replace(asked, source=str(later))]
    near, far = (read(one).instance for one in ends)
    with activity("finding where the choice changes"):
        return context_policy(near, far, memory_model=asked.model, proper_split=asked.proper_split)


def _tokens(text: str) -> int:
    found = whole_of(text.strip())
    if not found:
        raise InputError("--range", f"{text!r:.60} is no number of tokens from 1 on")
    return found


def ends_of(between: str, option: str, example: str) -> tuple[str, str]:
    """The ends of `LOW..HIGH`; InputError for anything else."""
    low, dots, high = between.partition("..")
    if not dots or ".." in high:
        raise InputError(option, f"{between!r} is not a range; expected LOW..HIGH such as {example}")
    return low, high


def policy_table(policy: Policy) -> object:
    """The policy for people: a row for each stretch."""
    n_places = max(len(stretch.counts) for stretch in policy.stretches)
    counts = [f"x{p}" for p in range(1, n_places + 1)]
    last = last_layers(n_places) if n_places == 2 else []  # of more there is no room; files have all layers
    time = "time per token" if policy.varied.kind == "context" else "latency"
    columns = ["from", "to", *counts, f"{time}, from", "to", "memory", _crosses(policy, n_places), *last]
    rows = []
    for stretch in policy.stretches:
        ends = [_place(policy, stretch.low), _place(policy, stretch.high)]
        if stretch.crossing_bytes is None or stretch.memory_bytes is None:
            rows.append([*ends, *("-" for _ in columns[3:]), "no split is admitted" if last else "no split"])
            continue
        at = [stretch.latency_s(policy.bandwidth_bytes_per_s or place, place) for place in (stretch.low, stretch.high)]
        rows.append([*ends, *map(str, stretch.counts), *map(format_time, at),
                     format_size(stretch.memory_bytes), format_size(stretch.crossing_bytes),
                     *(last_of([stretch.edge_layers or (), ()]) if last else [])])  # fmt: skip
    title = f"{policy.instance}: rule {policy.rule} over {policy.over}, {counted(len(policy.breakpoints), 'change')}"
    return table(title, columns, rows, left=range(len(columns) - len(last), len(columns)))


def _crosses(policy: Policy, n_places: int) -> str:
    hop = policy.varied.number if policy.varied.kind == "bandwidth" else 1
    return "crosses" if n_places == 2 else f"crosses hop {hop}"


def _place(policy: Policy, place: float) -> str:
    """More digits than sizes and rates have elsewhere: these are exact places."""
    return f"{place * 8e-6:.7g} Mbps" if policy.varied.kind == "bandwidth" else f"{place:.0f} {policy.unit}"
