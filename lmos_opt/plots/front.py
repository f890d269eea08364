"""A front as a picture: two objectives against each other, or, with more, an axis for each, side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice
from math import comb
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.plots import style
from lmos_opt.plots.words import axis, title
from lmos_opt.rules import shipped
from lmos_opt.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.front import Front, Point
    from lmos_opt.split import Split

PLAIN_RULES = tuple(rule.name for rule in shipped() if not rule.argument)
"""The selection rules that need no number."""
_MOST_CUTS = 2000
_MOST_NUMBERS = 100
"""Points up to which each one is labelled with its x1, where there is room."""
_GID = "lmos-front"
"""The id of a front's line, by which a further front in the same Axes knows of it."""


def draw_front(front: Front, ax: Axes | None = None, chosen: Point | None = None, *, color: str | None = None,
               label: str | None = None, cuts: Sequence[Split] = (), rules: Sequence[str] = ()) -> Axes:  # fmt: skip
    """Draw a front, its ideal and nadir point, the chosen point and the choices of the rules; returns the Axes.

    Two objectives are drawn against each other, as steps: no split lies between two points. More objectives are drawn as parallel
    coordinates. If the Axes hold fronts already, this front is added in the next colour, with an entry in their legend. `cuts` are
    splits; those that a point of the front dominates are drawn in grey. Raises InputError for a front over one objective, and for
    Axes that hold a front over other objectives.
    """
    style.check_count(len(front.objectives))
    if len(front.objectives) > 2:
        from lmos_opt.plots.parallel import draw_parallel

        return draw_parallel(front, ax, chosen, color=color, label=label)
    ax = style.new_axes() if ax is None else ax
    (x_scale, x_label), (y_scale, y_label) = map(axis, front.objectives)
    x_name, y_name = front.names
    before = _fronts_in(ax, x_label, y_label)
    shown = {text for _, text in zip(*ax.get_legend_handles_labels(), strict=True)}

    def mark(places: Sequence[Mapping[str, float]], marker: str, what: str, **look: Any) -> None:
        """Marks of one kind: of several fronts in one picture only the first ones stand in the legend."""
        ax.plot([x_scale * place[x_name] for place in places], [y_scale * place[y_name] for place in places], marker,
                linestyle="none", label=f"_{what}" if what in shown else what, **look)

    grey = dominated(front, cuts)
    if grey:
        mark([dict(zip(front.names, values, strict=True)) for values in grey], "o", "dominated cuts", color=style.GREY,
             markersize=3.5, alpha=0.6)  # fmt: skip
    (steps,) = ax.plot([x_scale * point.values[x_name] for point in front.points],
                       [y_scale * point.values[y_name] for point in front.points], "o-", drawstyle="steps-post", markersize=5,
                       linewidth=1, color=color or style.FRONTS[before % len(style.FRONTS)],
                       label=_label(front, label, before))  # fmt: skip
    steps.set_gid(_GID)
    _keep_legend_off(ax, steps.get_xydata())
    for what, marker, at in (("ideal point", "*", front.ideal), ("nadir point", "X", front.nadir)):
        if at:
            mark([at], marker, what, color=style.GREY, markersize=9, markeredgecolor="black", markeredgewidth=0.5)
    for marker, (names, point) in zip("sv^pd", choices(front, rules), strict=False):
        mark([point.values], marker, f"rule {', '.join(names)}", markersize=13, markerfacecolor="none", markeredgecolor="black")
    if chosen is not None:
        mark([chosen.values], "D", f"chosen{_cut(chosen)}", color=style.CHOSEN, markersize=9)
    _number(front, ax, x_scale, y_scale, str(steps.get_color()) if before else "black")
    style.label(ax, title(front) if before == 0 else counted(before + 1, "Pareto front"), x_label, y_label)
    ax.margins(0.08)
    ax.legend(loc="best", fontsize=8, markerscale=0.6)
    return ax


def _keep_legend_off(ax: Axes, places: Any) -> None:
    """Let the legend's place be chosen with the steps in mind: of a line matplotlib looks at the straight way between points."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [corner for k, (x, y) in enumerate(places) for corner in ([(x, places[k - 1][1])] if k else []) + [(x, y)]]
    if corners:
        ax.add_patch(PathPatch(Path(corners), fill=False, visible=False))


def _fronts_in(ax: Axes, x_label: str, y_label: str) -> int:
    """How many fronts the Axes hold; InputError unless they are over the same objectives."""
    count = sum(line.get_gid() == _GID for line in ax.get_lines())
    if count and (ax.get_xlabel(), ax.get_ylabel()) != (x_label, y_label):
        raise InputError("ax", f"shows fronts over {ax.get_xlabel()} and {ax.get_ylabel()}, and this front is over {x_label} and "
                               f"{y_label}; expected the same objectives")  # fmt: skip
    return count


def _label(front: Front, label: str | None, before: int) -> str:
    """What the legend calls a front; a partial one among others says so there, since the title is of all of them."""
    name = label or ("Pareto front" if before == 0 else f"Pareto front {before + 1}")
    return name if front.complete or before == 0 else f"{name} (incomplete)"


def _number(front: Front, ax: Axes, x_scale: float, y_scale: float, color: str) -> None:
    """The x1 of every point beside it, where there is room; of more than two places all counts but the last."""
    from lmos_opt.plots.labels import beside

    x_name, y_name = front.names
    for point in front.points if len(front.points) <= _MOST_NUMBERS else ():
        if point.counts:
            text = ", ".join(map(str, point.counts[:-1]))  # the rest is at the last place
            beside(ax, (x_scale * point.values[x_name], y_scale * point.values[y_name]), text, color=color)


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
    """The same as a plotly figure: the details of a point appear at the pointer."""
    style.check_count(len(front.objectives))
    go = style.plotly_objects()
    if len(front.objectives) > 2:
        from lmos_opt.plots.parallel import interactive_parallel

        return interactive_parallel(front, chosen)
    (x_scale, x_label), (y_scale, y_label) = map(axis, front.objectives)
    x_name, y_name = front.names

    def trace(points: Sequence[Point], mode: str, name: str, marker: dict[str, Any]) -> Any:
        return go.Scatter(x=[x_scale * p.values[x_name] for p in points], y=[y_scale * p.values[y_name] for p in points],
                          mode=mode, name=name, text=[_words(p) for p in points], marker=marker, line={"shape": "hv"})

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
    """The choice of each rule; rules that agree stand together, and rules that cannot choose here are left out."""
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
    """Every split of an instance that its memory limits admit; of an instance with more than 2,000 splits only some cuts of the
    order.

    These are the first layers of the order; over more than two places at most 2,000 of them, evenly spread.
    """
    from lmos_opt.split import down_closed_sets, nested

    sets = list(islice(down_closed_sets(instance), _MOST_CUTS + 1))
    splits = list(islice(nested(instance, sets, memory_model), _MOST_CUTS + 1))
    if len(splits) > _MOST_CUTS:
        n, hops = len(instance.names), len(instance.hops)
        ends = n + 1
        while hops > 1 and comb(ends + hops - 1, hops) > _MOST_CUTS:
            ends -= 1
        numbers = sorted({round(n * k / max(ends - 1, 1)) for k in range(ends)})
        splits = list(nested(instance, [frozenset(instance.names[:m]) for m in numbers], memory_model))
    return [split for split in splits if split.exceeds is None and split.is_ordered]


def _cut(point: Point) -> str:
    if len(point.counts) > 2:
        return f": {', '.join(map(str, point.counts))} layers at the places"
    return "" if point.x1 is None else f": {counted(point.x1, 'layer')} at the edge"


def _words(point: Point) -> str:
    if point.x1 is None:
        return ""
    counts = ", ".join(f"x{p} = {n}" for p, n in enumerate(point.counts, 1))
    return f"{counts}<br>last at the edge: {escape((point.edge_layers or ('nothing',))[-1])}"
