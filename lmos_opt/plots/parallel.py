"""A front over three objectives or more: an axis for each, best at the top, and a line for each point."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InputError
from lmos_opt.plots import style
from lmos_opt.plots.words import axis, title
from lmos_opt.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.front import Front, Point


_UPWARDS, _DOWNWARDS = ((0, 1), (1, 1), (-1, 1)), ((0, -1), (1, -1), (-1, -1))
"""Where the values at an axis' ends may lie: away from the lines."""


def draw_parallel(front: Front, ax: Axes | None = None, chosen: Point | None = None, *, color: str | None = None,
                  label: str | None = None) -> Axes:  # fmt: skip
    """Draw parallel coordinates: the ideal values stand at the top, the nadir values at the bottom; returns the Axes.

    The axes are scaled to the front, so Axes hold one. Raises InputError if there is one already.
    """
    from lmos_opt.plots.labels import beside
    if ax is not None and ax.get_lines():
        raise InputError("ax", f"holds a picture already, and a front over {len(front.objectives)} objectives is scaled to itself")
    ax = style.new_axes(1.5 + 2 * len(front.objectives), 4.5) if ax is None else ax
    places = range(len(front.objectives))
    for k, (point, heights) in enumerate(zip(front.points, _heights(front), strict=True)):
        if point == chosen:
            name = "chosen" if point.x1 is None else f"chosen: {counted(point.x1, 'layer')} at the edge"
            ax.plot(places, heights, color=style.CHOSEN, linewidth=3, marker="D", markersize=6, zorder=3, label=name)
        else:
            ax.plot(places, heights, color=color or style.EDGE, linewidth=1, alpha=0.55, marker="o", markersize=3,
                    label=label if k == 0 or (k == 1 and front.points[0] == chosen) else None)
    for k, (ideal, nadir, unit) in enumerate(_ends(front)):
        ax.axvline(k, color="black", linewidth=0.8, zorder=1)
        for height, value, sides in ((1, ideal, _UPWARDS), (0, nadir, _DOWNWARDS))[: 1 if ideal == nadir else 2]:
            beside(ax, (k, height), f"{value:.4g} {unit}".strip(), sides=sides)
    style.label(ax, title(front), "", "scaled: nadir 0, ideal 1")
    ax.set_xticks(list(places), [f"{o.name} ({o.sense})" for o in front.objectives], parse_math=False)
    ax.set_xlim(-0.4, len(front.objectives) - 0.6)
    ax.set_ylim(-0.12, 1.12)
    ax.set_yticks([0, 1])
    if chosen is not None or label is not None:
        ax.legend(loc="lower right", fontsize=8)
    return ax


def interactive_parallel(front: Front, chosen: Point | None = None) -> Any:
    """The same as a plotly figure, of which axes can be moved and ranges brushed."""
    go = style.plotly_objects()
    dimensions = []
    for objective in front.objectives:
        scale, shown = axis(objective)
        values = [scale * point.values[objective.name] for point in front.points]
        low, high = min(values, default=0.0), max(values, default=1.0)
        dimensions.append({"label": escape(shown), "values": values,
                           "range": [low, high] if objective.sense == "max" else [high, low]})
    colours = [float(point == chosen) for point in front.points]
    scale_of = [[0, style.EDGE], [1, style.CHOSEN]]
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line={"color": colours, "cmin": 0, "cmax": 1, "colorscale": scale_of}))
    return style.finish(figure, title(front), margin={"l": 80, "r": 80, "t": 110, "b": 40})


def _heights(front: Front) -> Sequence[Sequence[float]]:
    """Per point and objective its place between nadir (0) and ideal (1); 1 where all points agree."""
    found = []
    for point in front.points:
        pairs = [(point.values[name], front.ideal[name], front.nadir[name]) for name in front.names]
        found.append([(value - nadir) / (ideal - nadir) if ideal != nadir else 1.0 for value, ideal, nadir in pairs])
    return found


def _ends(front: Front) -> list[tuple[float, float, str]]:
    """Per objective the ideal and the nadir value in the unit people read, and the unit."""
    found = []
    for objective in front.objectives if front.points else ():
        scale, shown = style.quantity("", objective.unit)
        found.append((scale * front.ideal[objective.name], scale * front.nadir[objective.name], shown.strip(" ()")))
    return found
