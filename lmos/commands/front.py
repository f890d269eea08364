"""`lmos front`: trace, print, write and draw a Pareto front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from lmos.front_request import FrontRequest, baseline_point, chosen_of, read, trace
from lmos.output import err, last_layers, last_of, out, print_json, table
from lmos_opt.algorithms.statistics import Statistics
from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.front import SUFFIXES, Front, Point
from lmos_opt.fronts.showing import work_of
from lmos_opt.instance import Instance
from lmos_opt.processes.writing import check_output
from lmos_opt.rules.baselines import every
from lmos_opt.split import Split
from lmos_opt.units import counted, format_rate, format_size, format_time


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos front` is asked for, as typed; `select` is the rule whose choice is marked, `baselines` adds others' choices."""

    front: FrontRequest
    output: Path | None
    plot: Path | None
    select: str | None
    time_limit: str | None
    resume: Path | None
    baselines: bool
    statistics: bool
    log: Path | None
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError and InfeasibleError as `pareto_front`; exits 1 with what was found if it is incomplete."""
    output, plot = request.output, request.plot
    if request.baselines and request.as_json:
        raise InputError("--baselines", "is a table beside the front's; leave out --json (in Python: lmos_opt.sweep.sweep)")
    check_output(output, SUFFIXES, source=request.front.source, log=request.log)
    if request.log is not None:
        check_output(request.log, (request.log.suffix.lower(),), source=request.front.source, front_to_resume=request.resume)
    if plot is not None:
        from lmos_opt.plots.front import check_plot

        check_plot(plot, len(request.front.names))
    asked = read(request.front)
    found = trace(request.front, asked.instance, request.time_limit, request.resume, request.log)
    statistics, work = found.statistics, work_of(found)
    if not request.statistics:
        found = found.model_copy(update={"statistics": None})
    chosen = chosen_of(found, request.select) if request.select is not None else None
    if output is not None:
        found.save(output)
    if plot is not None:
        from lmos_opt.plots.front import PLAIN_RULES, save_plot, some_cuts

        cuts = some_cuts(asked.instance, request.front.model) if len(request.front.names) == 2 else ()
        save_plot(found, plot, chosen, cuts=cuts, rules=PLAIN_RULES)
    if request.as_json:
        print_json(found.to_json())
    else:
        out().print(front_table(found, asked.instance, chosen, work))
        if found.remark is not None:
            out().print(f"one point only: {found.remark}")
        if request.baselines:
            out().print(baselines_table(request.front, found, asked.instance))
        if request.statistics and statistics is not None:
            out().print(statistics_table(statistics))
    if not found.complete:
        err().print(f"lmos: the front is incomplete: {found.reason}", soft_wrap=True)
        raise typer.Exit(1)


_ROOM_FOR = 3
"""Places of which a table names the last layers too; files name all layers."""


def front_table(front: Front, instance: Instance, chosen: Point | None = None, work: str | None = None) -> object:
    """The front for people: a row for each point, and above the setting and the `work` of the search (None: `work_of`)."""
    coded = f", codec {instance.coding.in_words}" if instance.coding else ""
    title = (f"{front.instance}: {counted(len(front), 'non-dominated split')} of {counted(len(instance.layers), 'layer')} "
             f"{_way(instance)}{coded}; {work or work_of(front)}{_proved(front)}")
    places = range(1, len(instance.places) + 1)
    crossing = ["crosses"] if len(places) == 2 else [f"crosses hop {h}" for h in places[:-1]]
    lasts = last_layers(len(places)) if len(places) <= _ROOM_FOR else []
    codecs = ["codecs"] if instance.codecs else []
    columns = [*(f"x{p}" for p in places), *front.names, *crossing, *lasts, *codecs]
    if chosen is not None:
        columns.insert(0, "")
    rows = []
    for point in front.points:
        split = Split.at(instance, point.named_places, codecs=point.codecs)
        row = [*map(str, point.counts), *(_value(o.unit, point.values[o.name]) for o in front.objectives),
               *(format_size(hop.n_bytes) for hop in split.times.hops), *(last_of(split.places) if lasts else [])]
        if codecs:
            row.append(", ".join(f"{name}: {codec}" for name, codec in split.codecs.items()) or "-")
        rows.append(row if chosen is None else ["chosen" if point is chosen else "", *row])
    return table(title, columns, rows, left=range(len(columns) - len(lasts) - len(codecs), len(columns)))


def statistics_table(took: Statistics) -> object:
    """A table of the search's times and counts. Its subproblems are in the log and in files."""
    subproblems = len(took.subproblems)
    rows = [
        ["algorithm", took.algorithm],
        ["solves", f"{took.solves} in {counted(subproblems, 'subproblem')}"],
        *([] if took.splits is None else [["splits examined", str(took.splits)]]),
        ["linear programs, nodes", f"{took.lps}, {took.nodes}"],
        ["building", format_time(took.build_s)],
        ["searching", f"{format_time(took.search_s)}, of these {format_time(took.lp_s)} in linear programs"],
        ["certified", "yes" if took.certified else "no: answers rest on the solver's own word"],
        ["seed, threads", f"{_known(took.seed)}, {_known(took.threads)}"],
        ["tolerances", ", ".join(f"{name}={value:g}" for name, value in took.tolerances.items()) or "-"],
        ["solver options", ", ".join(f"{name}={value}" for name, value in took.solver_options.items()) or "-"],
    ]
    return table("statistics", ["", ""], rows, left=[0, 1])


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)


def baselines_table(request: FrontRequest, front: Front, instance: Instance) -> object:
    """What others would choose: a row for each baseline, and how many points of the front are better in everything."""
    counts = [f"x{p}" for p in range(1, len(instance.places) + 1)]
    signs = [1 if objective.sense == "min" else -1 for objective in front.objectives]
    costs, rows = front.costs(), []
    for rule in every(instance):
        try:
            point = baseline_point(request, instance, rule)
        except InfeasibleError as error:
            rows.append([rule, *("-" for _ in (*counts, *front.names)), f"not admitted: {'; '.join(error.constraints)}"])
            continue
        assert point is not None  # these are baselines
        own = [sign * point.values[name] for sign, name in zip(signs, front.names, strict=True)]
        better = sum(cost != tuple(own) and all(a <= b for a, b in zip(cost, own, strict=True)) for cost in costs)
        rows.append([rule, *map(str, point.counts), *(_value(o.unit, point.values[o.name]) for o in front.objectives),
                     f"dominated by {counted(better, 'point')}" if better else "on the front"])  # fmt: skip
    columns = ["rule", *counts, *front.names, "beside the front"]
    return table("baselines", columns, rows, left=[0, len(columns) - 1])


def _way(instance: Instance) -> str:
    """Over which link, or along which path."""
    between = ", rtt " if len(instance.hops) == 1 else ", "
    hops = [format_rate(hop.bandwidth_bytes_per_s) + (between + format_time(hop.rtt_s) if hop.rtt_s else "")
            for hop in instance.hops]  # fmt: skip
    if len(hops) == 1:
        return f"at {hops[0]}"
    first, *later = instance.places
    return f"along {first.name}" + "".join(f" > {hop} > {place.name}" for hop, place in zip(hops, later, strict=True))


def _proved(front: Front) -> str:
    """What an incomplete front of one objective has proved, and how far the best split is from it."""
    if front.bound is None:
        return ""
    objective = front.objectives[0]
    side = "below" if objective.sense == "min" else "above"
    found = ""
    if len(front) and front.bound:
        found = f" ({abs(front[0].values[objective.name] / front.bound - 1):.2%} from what was found)"
    return f"; proved: no {objective.name} {side} {_value(objective.unit, front.bound)}{found}"


def _value(unit: str, value: float) -> str:
    if unit == "s":
        return format_time(value)
    return format_size(value) if unit == "B" else f"{value:.6g} {unit}".strip()
