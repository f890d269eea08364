"""A network's graph with the cut drawn through it; over several places a cut for each hop.

Layers stand in columns by the longest way to them. The columns of each place begin to the right of the last one of the place
before, so that every tensor that crosses meets one straight line for each hop, and nothing else does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmos_opt.plots import style
from lmos_opt.units import counted, format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.instance import Instance
    from lmos_opt.split import Split

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


_MARKERS = ("o", "D", "^", "v", "P")
"""Of places before the last one, in turn; the last one's are squares."""


@dataclass(frozen=True)
class Layout:
    """Where every node stands, and where each hop's cut goes down: x in columns, y in rows about 0.

    `gap` is by how many columns two places stand further apart than they would."""

    nodes: dict[str, Place]
    cuts: tuple[float, ...]
    gap: float


def lay_out(split: Split) -> Layout:
    """Places for every input and layer of a split's instance."""
    instance = split.instance
    columns: dict[str, int] = dict.fromkeys(instance.inputs, 0)
    place = dict.fromkeys(instance.inputs, 0)
    ends: list[int] = []
    for p, layers in enumerate(split.places):
        last = max(columns.values())
        ends += [last] if p else []
        for name in layers:
            columns[name] = 1 + max([last if p else 0, *(columns[u] for u in instance.layer(name).inputs)])
            place[name] = p
    rows = _rows(instance, columns)
    gap = _GAP if len(instance.layers) < _MOST_NAMES else max(_WIDE_GAP, _WIDE_SHARE * max(columns.values()))
    nodes = {name: (columns[name] + gap * place[name], rows[name]) for name in columns}
    return Layout(nodes, tuple(last + gap * h + (1 + gap) / 2 for h, last in enumerate(ends)), gap)


def draw_graph(instance: Instance, layers: Iterable[str] | Iterable[Sequence[str]], ax: Axes | None = None) -> Axes:
    """Draw the graph, edge layers left of the cut and server layers right of it, with the bytes that cross on each arc.

    `layers` are those at the edge, or those of each place. A tensor with several readers beyond a hop crosses it once; its bytes
    stand at the first of its arcs. Raises InputError for a set that is not down-closed.
    """
    split = _split(instance, layers)
    layout = lay_out(split)
    nodes = layout.nodes
    width = 1 + max(x for x, _ in nodes.values())
    height = 1 + max(y for _, y in nodes.values()) - min(y for _, y in nodes.values())
    ax = style.new_axes(min(max(6, 0.36 * width), 26), min(max(3.2, 0.5 * height + 2.4), 12)) if ax is None else ax
    crossings = _draw_arcs(ax, split, layout)
    for names, colour, marker, what in _groups(split):
        if names:
            ax.scatter([nodes[n][0] for n in names], [nodes[n][1] for n in names], 60 if width < 80 else 20, color=colour,
                       marker=marker, edgecolors="black", linewidths=0.7, zorder=3, label=f"{what} ({len(names)})")
    is_named = len(instance.layers) < _MOST_NAMES
    if is_named:
        _name_nodes(ax, nodes)
    cut = "cut"
    for before, x, heights in zip(split.upto, layout.cuts, crossings, strict=True):
        if len(before) < len(instance.layers):
            ax.axvline(x, color=style.CHOSEN, linestyle="--", linewidth=1.6, zorder=1, label=cut)
            cut = "_"  # once in the legend
        _name_crossings(ax, instance, x, heights, is_named)
    ax.set_title(style.wrapped(ax, _title(split)), parse_math=False)
    ax.set_axis_off()
    ax.margins(0.02)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.2) - 0.7, max(high, 0.2) + 0.3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, fontsize=8, frameon=False)
    return ax


def _split(instance: Instance, layers: Iterable[str] | Iterable[Sequence[str]]) -> Split:
    from lmos_opt.split import Split

    found = list(layers)
    names = [one for one in found if isinstance(one, str)]
    return Split.at(instance, [names] if len(names) == len(found) else [list(one) for one in found])


def _groups(split: Split) -> list[tuple[Sequence[str], str, str, str]]:
    """What is drawn alike: its nodes, colour, marker, and what it is called."""
    instance, last = split.instance, len(split.places) - 1
    called = ["the edge", "the server"] if last == 1 else [place.name for place in instance.places]
    return [([*instance.inputs], "white", "o", "input"),
            *((layers, colour, "s" if p == last else _MARKERS[p % len(_MARKERS)], f"at {called[p]}")
              for p, (layers, colour) in enumerate(zip(split.places, style.place_colours(last + 1), strict=True)))]  # fmt: skip


def _name_crossings(ax: Axes, instance: Instance, x: float, heights: Mapping[str, float], is_named: bool) -> None:
    for name, y in _apart(heights).items():
        text = format_size(instance.sent_bytes(name))
        ax.annotate(text if is_named else f"{name}: {text}", (x, y), fontsize=8 if is_named else 7, ha="center",
                    va="center", zorder=4, parse_math=False,
                    bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": style.CHOSEN})


def save_graph_plot(instance: Instance, layers: Iterable[str] | Iterable[Sequence[str]], path: str | os.PathLike[str]) -> None:
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`."""
    style.save(path, lambda: draw_graph(instance, layers))


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


def _draw_arcs(ax: Axes, split: Split, layout: Layout) -> list[dict[str, float]]:
    """Draw every arc; for each hop, where the tensors that cross it meet its cut."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    instance = split.instance
    crossing = [set(instance.crossing(before)) for before in split.upto]
    found: list[dict[str, float]] = [{} for _ in split.upto]
    for u, v in instance.arcs:
        hops = [h for h, before in enumerate(split.upto) if u in crossing[h] and v not in before]
        points = _bend(layout.nodes[u], layout.nodes[v], layout.gap * len(hops))
        path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
        ax.add_patch(PathPatch(path, facecolor="none", edgecolor=style.CHOSEN if hops else style.GREY,
                               linewidth=1.6 if hops else 0.9, zorder=2))
        for h in hops:
            found[h].setdefault(u, _height_at(points, layout.cuts[h]))
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


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
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


def _title(split: Split) -> str:
    instance = split.instance
    crossing = instance.crossing(split.edge)
    n_bytes = sum(instance.sent_bytes(name) for name in crossing)
    verb = "crosses" if len(crossing) == 1 else "cross"
    what = f"{counted(len(crossing), 'tensor')} of {format_size(n_bytes)} {verb}" if crossing else "nothing crosses"
    if len(split.places) == 2:
        return f"{instance.name}: {len(split.edge)} of {counted(len(instance.layers), 'layer')} at the edge, {what}"
    counts = ", ".join(f"{len(layers)} at {place.name}" for place, layers in zip(instance.places, split.places, strict=True))
    return f"{instance.name}: {counts}; {', '.join(format_size(hop.n_bytes) for hop in split.times.hops)} cross"
