"""`lmos plan`: choose one split and write what the runner executes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmos.commands.conventions import Told, tell_assumed
from lmos.commands.policy import ends_of
from lmos.front_request import FrontRequest, choose, read
from lmos.output import activity, err, out, print_json, table
from lmos_opt.codec_sizes import RAW
from lmos_opt.errors import InputError
from lmos_opt.instance import Instance
from lmos_opt.plan import CrossingTensor, Plan, not_sendable, picture_or_first
from lmos_opt.policies.policy import Policy
from lmos_opt.policies.policy_maps import bandwidth_policy
from lmos_opt.rules import find_rule
from lmos_opt.units import counted, format_rate, format_size, format_time
from runner.watching.report import decided


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos plan` is asked for, as typed; `between` is the range of the policy that the plan is to hold."""

    front: FrontRequest
    select: str
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
    if output is not None and output.suffix.lower() != ".json":
        raise InputError(str(output), f"has the suffix {output.suffix!r}; a plan is written as .json")
    asked = read(request.front)
    plan = choose(request.front, asked, request.select)
    if plan.network is not None:
        plan = plan.model_copy(update={"network": request.told.applied(plan.network, picture_or_first(plan.network))})
    elif request.told != Told():
        raise InputError(request.front.source, "is made of numbers alone: no picture goes through it, and it has no classes")
    if request.between is not None:
        plan = plan.model_copy(update={"policy": _policy(request.front, asked.instance, request.select, request.between)})
    if plan.network is not None:
        tell_assumed(plan.network)
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


def _policy(request: FrontRequest, instance: Instance, select: str, between: str) -> Policy:
    """The policy for a run that adapts: of the plan's rule, or of the least latency where that is none for fronts."""
    if len(instance.places) > 2:
        raise InputError("--policy", f"is of two places, here are {len(instance.places)}; lmos policy --over bandwidth:N does more")
    if request.constraints or request.variables:
        raise InputError("--policy", "cannot hold constraints of your own; leave out --constraint and --variables")
    is_rule = find_rule(select) is not None
    if is_rule and (set(request.names) != {"latency", "memory"} or request.constrain not in (None, "latency")):
        raise InputError("--policy", "is of fronts of latency and memory, and the rule chooses from another; leave out "
                                     "--objectives and --constrain")
    low, high = ends_of(between, "--policy", "1Mbps..200Mbps")
    with activity("finding where the choice changes"):
        return bandwidth_policy(instance, select if is_rule else "min_latency", low, high, memory_model=request.model,
                                proper_split=request.proper_split, solver=request.solver)  # fmt: skip


def plan_table(plan: Plan, instance: Instance) -> object:
    """The plan for people."""
    predicted, how = plan.predicted, plan.network.preprocessing if plan.network is not None else None
    rows = [
        *_where_layers_run(plan),
        *([key, format_time(predicted[key]) if key in predicted else f"not predicted: {plan.unpredicted[key]}"]
          for key in plan.stages if key.endswith("_s")),
        *([["own variables", decided(plan)]] if plan.solution else []),
        *([["adapts", _changes(plan.policy)]] if plan.policy is not None else []),
        *([["pictures", how.in_words + (", assumed" if how.origin == "assumed" else "")]] if how is not None else []),
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
        coded = "" if plan.codec == RAW else f", codec {plan.codec}"
        return f"edge {setting.edge}, server {setting.server}, {format_rate(setting.bandwidth_bytes_per_s)}{coded}"
    rates = [f" > {format_rate(hop.bandwidth_bytes_per_s)} > " for hop in setting.hops]
    return "".join(part for pair in zip((place.name for place in setting.places), [*rates, ""], strict=True) for part in pair)


def _crossing(tensor: CrossingTensor) -> str:
    under = "" if tensor.wire_bytes is None else f" as {format_size(tensor.wire_bytes)}"
    return f"{tensor.name} {list(tensor.shape)} {format_size(tensor.bytes)}{under}"


def _changes(policy: Policy) -> str:
    found = [f"{'no cut' if one.x1 is None else counted(one.x1, 'edge layer')} from {format_rate(one.low)}"
             for one in policy.stretches]
    return f"{policy.rule}: {', '.join(found)} to {format_rate(policy.high)}"
