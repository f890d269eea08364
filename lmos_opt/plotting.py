"""Fronts as pictures: matplotlib for files and notebooks, plotly for one interactive page."""

from __future__ import annotations

import io
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.files import checked_suffix, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.front import Front, Point

SUFFIXES = (".png", ".svg", ".pdf", ".html")
_UNITS = {"s": (1.0, "s"), "B": (1e-6, "MB"), "J": (1.0, "J")}
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#999999"
"""Colours that stay apart for colour-blind readers (Okabe and Ito)."""


def draw_front(front: Front, ax: Axes | None = None, chosen: Point | None = None) -> Axes:
    """Draw the first two objectives of a front, its ideal and nadir point, and the chosen point; returns the Axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plotting", "plots") from None
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").add_subplot()
    (x_name, x_scale, x_label), (y_name, y_scale, y_label) = _axes(front)
    xs = [x_scale * point.values[x_name] for point in front.points]
    ys = [y_scale * point.values[y_name] for point in front.points]
    ax.plot(xs, ys, "o-", color=_BLUE, markersize=5, linewidth=1, label="Pareto front")
    for what, marker, at in (("ideal point", "*", front.ideal), ("nadir point", "X", front.nadir)):
        if at:
            ax.plot(x_scale * at[x_name], y_scale * at[y_name], marker, color=_GREY, markersize=9, linestyle="none",
                    label=what)
    if chosen is not None:
        ax.plot(x_scale * chosen.values[x_name], y_scale * chosen.values[y_name], "D", color=_ORANGE, markersize=9,
                linestyle="none", label=f"chosen{_cut(chosen)}")
    for k, point in enumerate(front.points):
        if len(front.points) <= 12 and point.x1 is not None:
            ax.annotate(f"{point.x1}", (xs[k], ys[k]), textcoords="offset points", xytext=(6, -12), fontsize=8)
    ax.set_xlabel(x_label, parse_math=False)  # names may hold dollar signs
    ax.set_ylabel(y_label, parse_math=False)
    ax.set_title(_title(front), parse_math=False)
    ax.grid(visible=True, alpha=0.3)
    ax.margins(0.08)
    ax.legend(loc="best", fontsize=8)
    return ax


def save_plot(front: Front, path: str | os.PathLike[str], chosen: Point | None = None) -> None:
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`, or `.html` (interactive, one file, no network)."""
    check_plot(path, len(front.objectives))
    suffix = Path(path).suffix.lower()
    if suffix == ".html":
        write_atomically(path, _page(front, chosen).encode())
        return
    figure: Any = draw_front(front, None, chosen).figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=150)
    write_atomically(path, buffer.getvalue())


def check_plot(path: str | os.PathLike[str], n_objectives: int) -> None:
    """Raise InputError unless `save_plot` writes that suffix and can draw a front over so many objectives."""
    checked_suffix(path, SUFFIXES)
    _check_objectives(n_objectives)


def _check_objectives(count: int) -> None:
    if count < 2:
        raise InputError("plot", f"a front over {count} objective has no picture; expected two or more")


def _axes(front: Front) -> list[tuple[str, float, str]]:
    _check_objectives(len(front.objectives))
    found = []
    for objective in front.objectives[:2]:
        scale, unit = _UNITS.get(objective.unit, (1.0, objective.unit))
        found.append((objective.name, scale, f"{objective.name} ({unit}, {objective.sense})" if unit else objective.name))
    return found


def _title(front: Front) -> str:
    return (f"{front.instance}: {len(front.points)} non-dominated splits"
            + ("" if front.complete else f" (incomplete: {front.reason})"))


def _cut(point: Point) -> str:
    return "" if point.x1 is None else f": {point.x1} layers at the edge"


def _page(front: Front, chosen: Point | None) -> str:
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingExtraError("an interactive plot", "plots") from None
    (x_name, x_scale, x_label), (y_name, y_scale, y_label) = _axes(front)

    def trace(points: list[Point], mode: str, name: str, marker: dict[str, Any]) -> Any:
        text = [f"x1 = {p.x1}, x2 = {p.x2}<br>last at the edge: {escape((p.edge_layers or ('nothing',))[-1])}"
                if p.x1 is not None else "" for p in points]
        return go.Scatter(x=[x_scale * p.values[x_name] for p in points], y=[y_scale * p.values[y_name] for p in points],
                          mode=mode, name=name, text=text, marker=marker)

    figure = go.Figure([trace(list(front.points), "lines+markers", "Pareto front", {"color": _BLUE, "size": 8})])
    if chosen is not None:
        figure.add_trace(trace([chosen], "markers", "chosen", {"color": _ORANGE, "size": 14, "symbol": "diamond"}))
    figure.update_layout(title=escape(_title(front)), xaxis_title=escape(x_label), yaxis_title=escape(y_label),
                         template="plotly_white")
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    return page
