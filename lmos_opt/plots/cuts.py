"""The latency of every cut and what it consists of: edge, link, server (the paper's figure 1), for any instance."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any

from lmos_opt.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.instance import Instance
    from lmos_opt.stages import StageTimes

_PARTS = (("edge", style.EDGE), ("link", style.LINK), ("server", style.SERVER))
_X, _Y = "layers at the edge, x1 (the first in topological order)", "time (s)"


def draw_cuts(instance: Instance, ax: Axes | None = None, *, chosen: int | None = None) -> Axes:
    """Draw, for each x1 from 0 to L, the three stages' times on each other, and mark the least sum; returns the Axes.

    `chosen` is the x1 of a cut to mark.
    """
    ax = style.new_axes(9.5, 4.5) if ax is None else ax
    times = _times(instance)
    below = [0.0] * len(times)
    for (name, colour), heights in zip(_PARTS, _heights(times), strict=True):
        ax.bar(range(len(times)), heights, 0.85, bottom=below, color=colour, hatch=style.HATCHES[colour], edgecolor="white",
               linewidth=0, label=name)
        below = [a + b for a, b in zip(below, heights, strict=True)]
    least = _least(times)
    ax.plot(least, times[least].latency_s, "v", color="black", markersize=8, linestyle="none", label=f"least latency: x1 = {least}")
    if chosen is not None:
        ax.plot(chosen, times[chosen].latency_s, "D", color=style.CHOSEN, markersize=8, linestyle="none",
                label=f"chosen: x1 = {chosen}")
    style.label(ax, _title(instance), _X, _Y)
    ax.grid(visible=False, axis="x")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    style.legend_beside(ax)
    return ax


def interactive_cuts(instance: Instance, *, chosen: int | None = None) -> Any:
    """The same as a plotly figure."""
    go = style.plotly_objects()
    times = _times(instance)
    last = ["(none)", *map(escape, instance.names)]
    figure = go.Figure([go.Bar(x=list(range(len(times))), y=heights, name=name, text=last, textposition="none",
                               marker={"color": colour}) for (name, colour), heights in zip(_PARTS, _heights(times), strict=True)])
    marks = [("least latency", _least(times), "triangle-down", "black")]
    marks += [] if chosen is None else [("chosen", chosen, "diamond", style.CHOSEN)]
    for name, x1, symbol, colour in marks:
        figure.add_trace(go.Scatter(x=[x1], y=[times[x1].latency_s], mode="markers", name=f"{name}: x1 = {x1}",
                                    marker={"color": colour, "size": 11, "symbol": symbol}))
    return style.finish(figure, _title(instance), _X, _Y, barmode="stack")


def save_cuts_plot(instance: Instance, path: str | os.PathLike[str], *, chosen: int | None = None) -> None:
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`, or `.html` (interactive, one file, no network)."""
    style.save(path, lambda: draw_cuts(instance, chosen=chosen), lambda: interactive_cuts(instance, chosen=chosen))


def _times(instance: Instance) -> list[StageTimes]:
    from lmos_opt.stages import stage_times

    return [stage_times(instance, frozenset(instance.names[:n])) for n in range(len(instance.names) + 1)]


def _heights(times: list[StageTimes]) -> list[list[float]]:
    return [[t.t_edge_s for t in times], [t.t_tx_s for t in times], [t.t_server_s for t in times]]


def _least(times: list[StageTimes]) -> int:
    return min(range(len(times)), key=lambda n: times[n].latency_s)


def _title(instance: Instance) -> str:
    from lmos_opt.units import format_rate

    return f"{instance.name}: every cut at {format_rate(instance.bandwidth_bytes_per_s)}"
