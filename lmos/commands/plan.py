"""`lmos plan`: choose one split and write what the runner executes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lmos.commands.conventions import Told, tell_assumed, tell_doubts
from lmos.commands.policy import ends_of
from lmos.front_request import FrontRequest, choose, read
from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import InputError
from lmos_opt.files import LARGEST_NUMBER
from lmos_opt.instance import Instance
from lmos_opt.plan import CrossingTensor, Plan, not_sendable, picture_or_first
from lmos_opt.plans.promise import Promise
from lmos_opt.policies.policy import Policy
from lmos_opt.policies.policy_maps import bandwidth_policy
from lmos_opt.processes.writing import check_output
from lmos_opt.rules import find_rule
from lmos_opt.units import counted, format_rate, format_size, format_time, parse_percent, parse_time
from runner.watching.report import decided


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos plan` is asked for, as typed; `between` has the ranges of the policies that the plan is to hold, one a hop."""

    front: FrontRequest
    select: str | None
    deadline: str | None
    confidence: str | None
    output: Path | None
    plot: Path | None
    between: str | None
    told: Told
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError and InfeasibleError as `choose`."""
    output, plot = request.output, request.plot
    if plot is not None:
        from lmos_opt.plots.style import check

        check(plot, interactive=False)
    check_output(output, (".json",), source=request.front.source)
    promise, select = _promise(request)
    asked = read(request.front)
    front = request.front if promise is None else _promised(request.front, asked.instance, promise)
    plan = choose(front, asked, select, promise)
    if plan.network is not None:
        plan = plan.model_copy(update={"network": request.told.applied(plan.network, picture_or_first(plan.network))})
    elif request.told != Told():
        raise InputError(request.front.source, "is made of numbers alone: no picture goes through it, and it has no classes")
    if request.between is not None:
        first, *later = _policies(*_adapting(front, select, promise), asked.instance, request.between)
        plan = plan.model_copy(update={"policy": first, "later_policies": tuple(later)})
    if plan.network is not None:
        tell_assumed(plan.network)
        tell_doubts(plan.network.name, plan.setting.doubts)
        if (why := not_sendable(plan)) is not None:
            err().print(f"lmos: this plan cannot be run: {why}", soft_wrap=True)
    if output is not None:
        plan.save(output)
    if plot is not None:
        from lmos_opt.plots.graph import save_graph_plot

        save_graph_plot(asked.instance, [plan.edge_layers, *plan.later_layers], plot)
    if request.as_json:
        print_json(plan.to_json())
    else:
        out().print(plan_table(plan, asked.instance))
    if output is None and not request.as_json:
        err().print("nothing was written; name a file with -o")


def _promise(request: Request) -> tuple[Promise | None, str]:
    """The promise that is asked for, and the rule; InputError if neither is, or both are, or they cannot be read."""
    if request.deadline is None:
        if request.confidence is not None:
            raise InputError("--deadline", "is missing; --confidence needs it")
        if request.select is None:
            raise InputError("--select", "is missing; expected a rule, or a --deadline to keep")
        return None, request.select
    if request.select is not None:
        raise InputError("--deadline", "chooses the split: the best one that keeps it; leave out --select")
    deadline_s = parse_time(request.deadline, "--deadline")
    percent = parse_percent("95%" if request.confidence is None else request.confidence, "--confidence")
    if not deadline_s or not 0 < percent <= 100:
        what, got = ("--deadline", request.deadline) if not deadline_s else ("--confidence", request.confidence)
        raise InputError(what, f"got {got!r:.40}; expected {'more than 0 s' if not deadline_s else 'above 0 %, up to 100 %'}")
    if deadline_s > LARGEST_NUMBER:
        raise InputError("--deadline", f"got {request.deadline!r:.40}; expected at most {LARGEST_NUMBER:g} s")
    return Promise(deadline_s=deadline_s, confidence=percent / 100), f"budget:{request.deadline.strip()}"


def _promised(front: FrontRequest, instance: Instance, promise: Promise) -> FrontRequest:
    """The front that the split is chosen from. InputError for objectives that are not one to be best in."""
    names = [] if front.objectives == FrontRequest.objectives else front.names
    if len(names) > 1:
        raise InputError("--objectives", f"names {counted(len(names), 'objective')}; beside a --deadline name one, to be best in")
    return replace(front, objectives=",".join(promise.objectives(instance, names[0] if names else None)))


def _adapting(front: FrontRequest, select: str, promise: Promise | None) -> tuple[FrontRequest, str]:
    """The front and the rule for the policies of a run that adapts: those of the plan, or for a promise the least latency."""
    return (front, select) if promise is None else (replace(front, objectives=FrontRequest.objectives), "min_latency")


def _policies(request: FrontRequest, select: str, instance: Instance, between: str) -> list[Policy | None]:
    """For each hop the policy for a run that adapts: of the plan's rule, or of the least latency where that is none for fronts."""
    ranges, n_hops = between.split(","), len(instance.hops)
    if len(ranges) > n_hops:
        raise InputError("--policy", f"names {len(ranges)} ranges, but there {'is 1 hop' if n_hops == 1 else f'are {n_hops} hops'}")
    if not any(ranges):
        raise InputError("--policy", f"{between!r} names no range; expected LOW..HIGH such as 1Mbps..200Mbps, one a hop")
    if request.constraints or request.at_most or request.variables:
        raise InputError("--policy", "cannot hold constraints of your own; leave out --constraint, --at-most and --variables")
    is_rule = find_rule(select) is not None
    if is_rule and (set(request.names) != {"latency", "memory"} or request.constrain not in (None, "latency")):
        raise InputError("--policy", "is of fronts of latency and memory, and the rule chooses from another; leave out "
                                     "--objectives and --constrain")
    ends = [ends_of(one, "--policy", "1Mbps..200Mbps") if one else None for one in (*ranges, *[""] * (n_hops - len(ranges)))]
    with activity("finding where the choice changes"):
        return [None if found is None else
                bandwidth_policy(instance, select if is_rule else "min_latency", *found, hop=h, memory_model=request.model,
                                 proper_split=request.proper_split, solver=request.solver)
                for h, found in enumerate(ends, 1)]  # fmt: skip


def plan_table(plan: Plan, instance: Instance) -> object:
    """The plan for people."""
    predicted, how = plan.predicted, plan.network.preprocessing if plan.network is not None else None
    rows = [
        *_where_layers_run(plan),
        *([key, format_time(predicted[key]) if key in predicted else f"not predicted: {plan.unpredicted[key]}"]
          for key in plan.stages if key.endswith("_s")),
        *([["own variables", decided(plan)]] if plan.solution else []),
        *(["adapts" if plan.n_places == 2 else f"adapts to hop {h}", _changes(policy)]
          for h, policy in enumerate(plan.policies, 1) if policy is not None),
        *([["pictures", how.in_words + (", assumed" if how.origin == "assumed" else "")]] if how is not None else []),
        *([["keeps", f"{plan.promise.in_words} of the scenarios: {plan.promise.objective} is "
                     f"{format_time(float(predicted[plan.promise.objective]))}"]] if plan.promise is not None else []),
        ["edge memory", f"{format_size(predicted['edge_memory_bytes'])} ({plan.setting.memory_model})"],
    ]
    return table(f"{instance.name}: rule {plan.setting.rule}, {_path(plan)}", ["", "predicted"], rows, left=[0, 1])


def _where_layers_run(plan: Plan) -> list[list[str]]:
    crossing = [", ".join(map(_crossing, hop)) or "nothing" for hop in plan.hops]
    if plan.n_places == 2:
        where = f"after {plan.edge_layers[-1]}" if plan.edge_layers else "at the input"
        return [["edge layers", f"{plan.x1} of {plan.x1 + plan.x2}, {where}"], ["crosses", *crossing]]
    places = [[f"place {p}, {place.name}", f"{counted(count, 'layer')}" + (f", {layers[0]} to {layers[-1]}" if layers else "")]
              for p, (place, count, layers) in enumerate(zip(plan.setting.places, plan.counts,
                                                             (plan.edge_layers, *plan.later_layers), strict=True), 1)]  # fmt: skip
    return [*places, *([f"crosses hop {h}", found] for h, found in enumerate(crossing, 1))]


def _path(plan: Plan) -> str:
    """The places and the links between them."""
    setting = plan.setting
    if plan.n_places == 2:
        coded = f", codec {plan.codec_words}" if plan.encodes else ""
        return f"edge {setting.edge}, server {setting.server}, {format_rate(setting.bandwidth_bytes_per_s)}{coded}"
    rates = [f" > {format_rate(hop.bandwidth_bytes_per_s)} > " for hop in setting.hops]
    return "".join(part for pair in zip((place.name for place in setting.places), [*rates, ""], strict=True) for part in pair)


def _crossing(tensor: CrossingTensor) -> str:
    under = "" if tensor.wire_bytes is None else f" as {format_size(tensor.wire_bytes)}"
    return f"{tensor.name} {list(tensor.shape)} {format_size(tensor.bytes)}{under}"


def _cut(counts: Sequence[int]) -> str:
    if len(counts) > 2:
        return f"{', '.join(map(str, counts))} layers"
    return counted(counts[0], "edge layer") if counts else "no cut"


def _changes(policy: Policy) -> str:
    found = [f"{_cut(one.counts)} from {format_rate(one.low)}" for one in policy.stretches]
    return f"{policy.rule}: {', '.join(found)} to {format_rate(policy.high)}"
