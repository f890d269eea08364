"""A network's graph with the cut drawn through it.

Layers stand in columns by the longest way to them; server layers begin right of the last edge layer, so that every tensor
that crosses meets one straight line, and nothing else does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmos_opt.plots import style
from lmos_opt.units import counted, format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.instance import Instance

_MOST_NAMES = 60
"""Layers up to which each one is named; of larger graphs those at the cut."""
_SWEEPS = 4
_GAP, _WIDE_GAP, _WIDE_SHARE = 2.0, 8.0, 0.065
"""Further columns between the halves, where the bytes stand; with names before them in graphs whose nodes have none: then
that share of the columns at least, for the letters stay as large."""
_APART = 0.5
"""Rows between the labels at the cut, at least."""
_LIFT = 0.34
"""Rows by which an arc bends aside for each column that it passes over."""
_MOST_BENT = 2.5

Place = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Where every node stands, and where the cut goes down: x in columns, y in rows about 0.

    `gap` is by how many columns the halves stand further apart than they would."""

    places: dict[str, Place]
    cut: float
    gap: float


def lay_out(instance: Instance, edge: frozenset[str]) -> Layout:
    """Places for every input and layer of a down-closed edge set's instance."""
    columns: dict[str, int] = dict.fromkeys(instance.inputs, 0)
    for layer in instance.layers:
        if layer.name in edge:
            columns[layer.name] = 1 + max((columns[u] for u in layer.inputs), default=0)
    last = max(columns.values())
    for layer in instance.layers:
        if layer.name not in edge:
            columns[layer.name] = 1 + max([last, *(columns[u] for u in layer.inputs)])
    rows = _rows(instance, columns)
    gap = _GAP if len(instance.layers) < _MOST_NAMES else max(_WIDE_GAP, _WIDE_SHARE * max(columns.values()))
    shift = {name: gap if column > last else 0.0 for name, column in columns.items()}
    return Layout({name: (columns[name] + shift[name], rows[name]) for name in columns}, last + (1 + gap) / 2, gap)


def draw_graph(instance: Instance, edge_layers: Iterable[str], ax: Axes | None = None) -> Axes:
    """Draw the graph, edge layers left of the cut and server layers right of it, with the bytes that cross on each arc.

    A tensor with several readers at the server crosses once; its bytes stand at the first of its arcs. Raises InputError
    for a set that is not down-closed.
    """
    edge = instance.edge_set(edge_layers)
    layout = lay_out(instance, edge)
    places = layout.places
    width = 1 + max(x for x, _ in places.values())
    height = 1 + max(y for _, y in places.values()) - min(y for _, y in places.values())
    ax = style.new_axes(min(max(6, 0.36 * width), 26), min(max(3.2, 0.5 * height + 2.4), 12)) if ax is None else ax
    crossings = _draw_arcs(ax, instance, edge, layout)
    for names, colour, marker, what in (
        ([*instance.inputs], "white", "o", "input"),
        ([n for n in instance.names if n in edge], style.EDGE, "o", "at the edge"),
        ([n for n in instance.names if n not in edge], style.SERVER, "s", "at the server"),
    ):
        if names:
            ax.scatter([places[n][0] for n in names], [places[n][1] for n in names], 60 if width < 80 else 20, color=colour,
                       marker=marker, edgecolors="black", linewidths=0.7, zorder=3, label=f"{what} ({len(names)})")
    is_named = len(instance.layers) < _MOST_NAMES
    if is_named:
        _name_nodes(ax, places)
    if len(edge) < len(instance.layers):
        ax.axvline(layout.cut, color=style.CHOSEN, linestyle="--", linewidth=1.6, zorder=1, label="cut")
    for name, y in _apart(crossings).items():
        text = format_size(instance.sent_bytes(name))
        ax.annotate(text if is_named else f"{name}: {text}", (layout.cut, y), fontsize=8 if is_named else 7, ha="center",
                    va="center", zorder=4, parse_math=False,
                    bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": style.CHOSEN})
    ax.set_title(style.wrapped(ax, _title(instance, edge)), parse_math=False)
    ax.set_axis_off()
    ax.margins(0.02)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.2) - 0.7, max(high, 0.2) + 0.3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, fontsize=8, frameon=False)
    return ax


def save_graph_plot(instance: Instance, edge_layers: Iterable[str], path: str | os.PathLike[str]) -> None:
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`."""
    style.save(path, lambda: draw_graph(instance, edge_layers))


def _rows(instance: Instance, columns: dict[str, int]) -> dict[str, float]:
    """Rows about 0 in every column, in an order that lets few arcs cross (the barycentre heuristic)."""
    members: list[list[str]] = [[] for _ in range(1 + max(columns.values()))]
    for name, column in columns.items():
        members[column].append(name)
    sources = {layer.name: list(layer.inputs) for layer in instance.layers}
    near: dict[str, list[str]] = {name: [*sources.get(name, ()), *instance.consumers[name]] for name in columns}
    rows = {name: float(k) for column in members for k, name in enumerate(column)}
    for sweep in range(_SWEEPS):
        for members_here in members if sweep % 2 == 0 else reversed(members):
            members_here.sort(key=lambda name: sum(rows[n] for n in near[name]) / max(len(near[name]), 1))
            rows.update((name, k - (len(members_here) - 1) / 2) for k, name in enumerate(members_here))
    return rows


def _draw_arcs(ax: Axes, instance: Instance, edge: frozenset[str], layout: Layout) -> dict[str, float]:
    """Draw every arc; for each tensor that crosses, where it meets the cut."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    crossing = set(instance.crossing(edge))
    found: dict[str, float] = {}
    for u, v in instance.arcs:
        crosses = u in crossing and v not in edge
        points = _bend(layout.places[u], layout.places[v], layout.gap if crosses else 0.0)
        path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
        ax.add_patch(PathPatch(path, facecolor="none", edgecolor=style.CHOSEN if crosses else style.GREY,
                               linewidth=1.6 if crosses else 0.9, zorder=2))
        if crosses:
            found.setdefault(u, _height_at(points, layout.cut))
    return found


def _bend(start: Place, end: Place, gap: float) -> list[Place]:
    """A cubic Bezier curve; arcs that pass over columns bend aside, or they would go through the layers between."""
    (x1, y1), (x2, y2) = start, end
    span = x2 - x1
    lift = min(_LIFT * max(span - gap - 1, 0), _MOST_BENT)
    return [start, (x1 + span / 3, y1 + 4 / 3 * lift), (x2 - span / 3, y2 + 4 / 3 * lift), end]


def _height_at(points: Sequence[Place], x: float) -> float:
    """Where the curve is at x; the x of these curves grows evenly."""
    t = (x - points[0][0]) / (points[3][0] - points[0][0])
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    return sum(w * y for w, (_, y) in zip(weights, points, strict=True))


def _apart(heights: dict[str, float]) -> dict[str, float]:
    """The heights in their order, moved up where a label would lie on the one before."""
    found: dict[str, float] = {}
    least = float("-inf")
    for name, y in sorted(heights.items(), key=lambda item: item[1]):
        found[name] = max(y, least)
        least = found[name] + _APART
    return found


def _name_nodes(ax: Axes, places: dict[str, Place]) -> None:
    for name, (x, y) in places.items():
        ax.annotate(name, (x, y), textcoords="offset points", xytext=(0, -7), fontsize=6, rotation=60, ha="right", va="top",
                    rotation_mode="anchor", parse_math=False)


def _title(instance: Instance, edge: frozenset[str]) -> str:
    crossing = instance.crossing(edge)
    n_bytes = sum(instance.sent_bytes(name) for name in crossing)
    verb = "crosses" if len(crossing) == 1 else "cross"
    what = f"{counted(len(crossing), 'tensor')} of {format_size(n_bytes)} {verb}" if crossing else "nothing crosses"
    return f"{instance.name}: {len(edge)} of {counted(len(instance.layers), 'layer')} at the edge, {what}"
