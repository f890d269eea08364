"""A front as a picture: two objectives against each other, or, with more, an axis for each side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.front import Front, ObjectiveInfo, Point
    from lmos_opt.split import Split

PLAIN_RULES = ("lmos", "knee", "ideal", "min_latency")
"""The selection rules that need no number."""
_MOST_CUTS = 2000
_MOST_NUMBERS = 12
"""Points up to which each one is labelled with its x1."""


def draw_front(front: Front, ax: Axes | None = None, chosen: Point | None = None, *, cuts: Sequence[Split] = (),
               rules: Sequence[str] = ()) -> Axes:  # fmt: skip
    """Draw a front, its ideal and nadir point, the chosen point and what the rules choose; returns the Axes.

    Two objectives are drawn against each other; more of them as parallel coordinates. `cuts` are splits of which those
    that some point of the front dominates are drawn in grey. Raises InputError for a front over one objective.
    """
    style.check_count(len(front.objectives))
    if len(front.objectives) > 2:
        from lmos_opt.plots.parallel import draw_parallel

        return draw_parallel(front, ax, chosen)
    ax = style.new_axes() if ax is None else ax
    (x_scale, x_label), (y_scale, y_label) = map(axis, front.objectives)
    x_name, y_name = front.names
    grey = dominated(front, cuts)
    if grey:
        ax.plot([x_scale * x for x, _ in grey], [y_scale * y for _, y in grey], "o", color=style.GREY, markersize=3.5,
                alpha=0.6, label="dominated cuts")
    xs = [x_scale * point.values[x_name] for point in front.points]
    ys = [y_scale * point.values[y_name] for point in front.points]
    ax.plot(xs, ys, "o-", color=style.EDGE, markersize=5, linewidth=1, label="Pareto front")
    for what, marker, at in (("ideal point", "*", front.ideal), ("nadir point", "X", front.nadir)):
        if at:
            ax.plot(x_scale * at[x_name], y_scale * at[y_name], marker, color=style.GREY, markersize=9, linestyle="none",
                    markeredgecolor="black", markeredgewidth=0.5, label=what)
    for marker, (names, point) in zip("sv^pd", choices(front, rules), strict=False):
        ax.plot(x_scale * point.values[x_name], y_scale * point.values[y_name], marker, markersize=13, linestyle="none",
                markerfacecolor="none", markeredgecolor="black", label=f"rule {', '.join(names)}")
    if chosen is not None:
        ax.plot(x_scale * chosen.values[x_name], y_scale * chosen.values[y_name], "D", color=style.CHOSEN, markersize=9,
                linestyle="none", label=f"chosen{_cut(chosen)}")
    for k, point in enumerate(front.points):
        if len(front.points) <= _MOST_NUMBERS and point.x1 is not None:
            ax.annotate(f"{point.x1}", (xs[k], ys[k]), textcoords="offset points", xytext=(6, -12), fontsize=8)
    style.label(ax, title(front), x_label, y_label)
    ax.margins(0.08)
    ax.legend(loc="best", fontsize=8, markerscale=0.6)
    return ax


def save_plot(front: Front, path: str | os.PathLike[str], chosen: Point | None = None, *, cuts: Sequence[Split] = (),
              rules: Sequence[str] = ()) -> None:  # fmt: skip
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`, or `.html` (interactive, one file, no network)."""
    check_plot(path, len(front.objectives))
    style.save(path, lambda: draw_front(front, None, chosen, cuts=cuts, rules=rules),
               lambda: interactive_front(front, chosen, cuts=cuts, rules=rules))


def check_plot(path: str | os.PathLike[str], n_objectives: int) -> None:
    """Raise InputError unless `save_plot` writes that suffix and can draw a front over so many objectives."""
    style.check(path)
    style.check_count(n_objectives)


def interactive_front(front: Front, chosen: Point | None = None, *, cuts: Sequence[Split] = (),
                      rules: Sequence[str] = ()) -> Any:  # fmt: skip
    """The same as a plotly figure: what a point is stands beside the pointer."""
    style.check_count(len(front.objectives))
    go = style.plotly_objects()
    if len(front.objectives) > 2:
        from lmos_opt.plots.parallel import interactive_parallel

        return interactive_parallel(front, chosen)
    (x_scale, x_label), (y_scale, y_label) = map(axis, front.objectives)
    x_name, y_name = front.names

    def trace(points: Sequence[Point], mode: str, name: str, marker: dict[str, Any]) -> Any:
        return go.Scatter(x=[x_scale * p.values[x_name] for p in points], y=[y_scale * p.values[y_name] for p in points],
                          mode=mode, name=name, text=[_words(p) for p in points], marker=marker)

    figure = go.Figure()
    grey = dominated(front, cuts)
    if grey:
        figure.add_trace(go.Scatter(x=[x_scale * x for x, _ in grey], y=[y_scale * y for _, y in grey], mode="markers",
                                    name="dominated cuts", marker={"color": style.GREY, "size": 5}))
    figure.add_trace(trace(front.points, "lines+markers", "Pareto front", {"color": style.EDGE, "size": 8}))
    for what, symbol, at in (("ideal point", "star", front.ideal), ("nadir point", "x", front.nadir)):
        if at:
            figure.add_trace(go.Scatter(x=[x_scale * at[x_name]], y=[y_scale * at[y_name]], mode="markers", name=what,
                                        marker={"color": style.GREY, "size": 11, "symbol": symbol}))
    for symbol, (names, point) in zip(("square-open", "triangle-down-open", "triangle-up-open", "pentagon-open"),
                                      choices(front, rules), strict=False):
        figure.add_trace(trace([point], "markers", f"rule {', '.join(names)}",
                               {"color": "black", "size": 16, "symbol": symbol, "line": {"width": 1.5}}))
    if chosen is not None:
        figure.add_trace(trace([chosen], "markers", "chosen", {"color": style.CHOSEN, "size": 14, "symbol": "diamond"}))
    return style.finish(figure, title(front), x_label, y_label)


def choices(front: Front, rules: Sequence[str]) -> list[tuple[list[str], Point]]:
    """What each rule chooses, rules that agree together; those that cannot choose here are left out."""
    found: dict[int, tuple[list[str], Point]] = {}
    for rule in rules:
        try:
            point = front.select(rule)
        except (InputError, InfeasibleError):
            continue
        found.setdefault(id(point), ([], point))[0].append(rule)
    return list(found.values())


def dominated(front: Front, cuts: Sequence[Split]) -> list[tuple[float, ...]]:
    """The objective values of the cuts that some point of the front dominates; none for objectives of one's own."""
    from lmos_opt import objectives

    if not cuts or not set(front.names) <= set(objectives.names()):
        return []
    chosen = [objectives.get(name) for name in front.names]
    signs = [1.0 if objective.sense == "min" else -1.0 for objective in front.objectives]
    costs = front.costs()
    found = []
    for split in cuts:
        values = tuple(objective.value(split) for objective in chosen if objective.value is not None)
        cost = tuple(s * v for s, v in zip(signs, values, strict=True))
        if any(point != cost and all(a <= b for a, b in zip(point, cost, strict=True)) for point in costs):
            found.append(values)
    return found


def some_cuts(instance: Any, memory_model: Any = "sum") -> list[Split]:
    """Every split of an instance that its memory limit admits; of a graph with thousands of them only the prefixes."""
    from lmos_opt.split import Split, down_closed_sets

    sets = list(islice(down_closed_sets(instance), _MOST_CUTS + 1))
    if len(sets) > _MOST_CUTS:
        sets = [frozenset(instance.names[:n]) for n in range(len(instance.names) + 1)]
    limit = instance.memory_limit_bytes
    splits = [Split(instance, edge, memory_model) for edge in sets]
    return [split for split in splits if limit is None or split.memory_bytes <= limit]


def axis(objective: ObjectiveInfo) -> tuple[float, str]:
    """By what to multiply an objective's values, and its label with unit and sense: `latency (s, min)`."""
    scale, shown = style.quantity(objective.name, objective.unit)
    return scale, f"{shown[:-1]}, {objective.sense})" if objective.unit else shown


def title(front: Front) -> str:
    """What a picture of the front is of."""
    return (f"{front.instance}: {len(front.points)} non-dominated splits"
            + ("" if front.complete else f" (incomplete: {front.reason})"))


def _cut(point: Point) -> str:
    return "" if point.x1 is None else f": {point.x1} layers at the edge"


def _words(point: Point) -> str:
    if point.x1 is None:
        return ""
    return f"x1 = {point.x1}, x2 = {point.x2}<br>last at the edge: {escape((point.edge_layers or ('nothing',))[-1])}"
