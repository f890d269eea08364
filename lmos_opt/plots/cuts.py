"""The latency of every cut and its parts: edge, link, server (the paper's figure 1), for any instance."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any

from lmos_opt.plots import style
from lmos_opt.plots.stages import fastest_cuts, parts_of, way

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.instance import Instance
    from lmos_opt.split import Split

_Y = "time (s)"


def draw_cuts(instance: Instance, ax: Axes | None = None, *, chosen: int | Split | None = None) -> Axes:
    """Draw the stages' times for each x1 from 0 to L, stacked, and mark the least sum; returns the Axes.

    Over more than two places a bar is the fastest cut with this number of layers at the first place. `chosen` is a split to mark,
    or the x1 of one of these.
    """
    ax = style.new_axes(9.5, 4.5) if ax is None else ax
    from matplotlib.ticker import MaxNLocator

    cuts = fastest_cuts(instance)
    below = [0.0] * len(cuts)
    for part in parts_of(instance):
        heights = [part.of(split.times) for split in cuts]
        ax.bar(range(len(cuts)), heights, 0.85, bottom=below, color=part.colour, hatch=part.hatch, edgecolor="white", linewidth=0,
               label=part.name)
        below = [a + b for a, b in zip(below, heights, strict=True)]
    for name, split, symbol, colour in _marks(cuts, chosen):
        ax.plot(len(split.edge), split.times.latency_s, {"triangle-down": "v", "diamond": "D"}[symbol], color=colour, markersize=8,
                linestyle="none", label=f"{name}: {_counts(split)}")
    style.label(ax, _title(instance), _x(instance), _Y)
    ax.grid(visible=False, axis="x")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend_beside(ax)
    return ax


def interactive_cuts(instance: Instance, *, chosen: int | Split | None = None) -> Any:
    """The same as a plotly figure."""
    go = style.plotly_objects()
    cuts = fastest_cuts(instance)
    last = ["(none)", *map(escape, instance.names)]
    if len(instance.places) > 2:
        last = [f"{name}<br>{_counts(split)}" for name, split in zip(last, cuts, strict=True)]
    figure = go.Figure([go.Bar(x=list(range(len(cuts))), y=[part.of(split.times) for split in cuts], name=escape(part.name),
                               text=last, textposition="none", marker={"color": part.colour}) for part in parts_of(instance)])
    for name, split, symbol, colour in _marks(cuts, chosen):
        figure.add_trace(go.Scatter(x=[len(split.edge)], y=[split.times.latency_s], mode="markers",
                                    name=f"{name}: {_counts(split)}", marker={"color": colour, "size": 11, "symbol": symbol}))
    return style.finish(figure, _title(instance), _x(instance), _Y, barmode="stack")


def save_cuts_plot(instance: Instance, path: str | os.PathLike[str], *, chosen: int | Split | None = None) -> None:
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`, or `.html` (interactive, one file, no network)."""
    style.save(path, lambda: draw_cuts(instance, chosen=chosen), lambda: interactive_cuts(instance, chosen=chosen))


def _marks(cuts: list[Split], chosen: int | Split | None) -> list[tuple[str, Split, str, str]]:
    """What is marked: its name, its split, symbol and colour."""
    found = [("least latency", min(cuts, key=lambda split: split.times.latency_s), "triangle-down", "black")]
    if chosen is not None:
        found.append(("chosen", cuts[chosen] if isinstance(chosen, int) else chosen, "diamond", style.CHOSEN))
    return found


def _counts(split: Split) -> str:
    counts = [len(layers) for layers in split.places]
    return f"x1 = {counts[0]}" if len(counts) == 2 else f"{', '.join(map(str, counts))} layers"


def _x(instance: Instance) -> str:
    return "layers at the edge, x1 (the first in topological order)" if len(instance.places) == 2 else \
        f"layers at {instance.places[0].name}, x1 (the first in topological order)"


def _title(instance: Instance) -> str:
    what = "every cut" if len(instance.places) == 2 else "the fastest cut of each x1"
    return f"{instance.name}: {what} {way(instance)}"
