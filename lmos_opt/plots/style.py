"""One look for all pictures: colours that everybody can tell apart, units that people read, and how a picture becomes a file."""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.processes.writing import check_output, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf", ".html")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's colours, told apart by colour-blind readers."""
EDGE, CHOSEN, SERVER, WAIT, LINK, _, _, GREY = PALETTE
"""The meaning of each colour in every picture."""
FRONTS = tuple(colour for colour in PALETTE if colour not in (CHOSEN, GREY))
"""The colours of several fronts in one picture, one after another."""
_BETWEEN = ("#CC79A7", "#56B4E9", "#666666")
"""Places between the first and the last, in turn."""
_HOPS = (LINK, "#F0E442", "#A6761D")
"""Hops, in turn."""
HATCHES = {EDGE: "", LINK: "///", SERVER: "...", WAIT: "xxx", GREY: "---", "#56B4E9": "++", "#666666": "oo", "#F0E442": "\\\\\\",
           "#A6761D": "||"}  # fmt: skip
"""A second mark for areas that lie on each other, for prints without colour."""
_SCALES = {"s": (1.0, "s"), "B": (1e-6, "MB"), "J": (1.0, "J")}
_DPI = 150
_NARROW_LETTERS = 36
"""Of a title's line in a window as narrow as a telephone's."""
_LETTER_POINTS, _LEAST_LETTERS = 6.5, 20
"""How wide a letter of a title is, about; and how many at least stand in a line of a small picture's title."""
_VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
"""Without it telephones take a page for a wide one, and show it small."""


def place_colours(n: int) -> list[str]:
    """A colour for each of n places along a path: the first is EDGE, the last SERVER."""
    return [EDGE, *(_BETWEEN[k % len(_BETWEEN)] for k in range(n - 2)), SERVER]


def hop_colours(n: int) -> list[str]:
    """A colour for each of n hops: of one LINK."""
    return [_HOPS[k % len(_HOPS)] for k in range(n)]


def new_axes(width: float = 7, height: float = 4.5) -> Axes:
    """Axes in a figure of their own, sizes in inches; MissingExtraError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plotting", "plots") from None
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def quantity(name: str, unit: str) -> tuple[float, str]:
    """The factor for values of a unit, and the axis' label: `memory`, `B` gives 1e-6 and `memory (MB)`."""
    scale, shown = _SCALES.get(unit, (1.0, unit))
    return scale, f"{name} ({shown})" if shown else name


def label(ax: Axes, title: str, x: str, y: str) -> None:
    """Title and labels, written as they are: names may hold dollar signs. A long title takes several lines."""
    ax.set_title(wrapped(ax, title), parse_math=False)
    ax.set_xlabel(x, parse_math=False)
    ax.set_ylabel(y, parse_math=False)
    ax.grid(visible=True, alpha=0.3)
    ax.set_axisbelow(True)


def wrapped(ax: Axes, title: str) -> str:
    """A title in lines that are no wider than the Axes."""
    figure: Any = ax.figure
    letters = int(72 * figure.get_figwidth() * ax.get_position().width / _LETTER_POINTS)
    return "\n".join(textwrap.wrap(title, max(letters, _LEAST_LETTERS))) or title


def legend_beside(ax: Axes, x: float = 1.01) -> None:
    """A legend to the right of the axes, because bars would cover it inside."""
    ax.legend(loc="upper left", bbox_to_anchor=(x, 1), fontsize=8, frameon=False)


def plotly_objects() -> Any:
    """The module `plotly.graph_objects`; MissingExtraError without plotly."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingExtraError("an interactive plot", "plots") from None
    return go


def finish(figure: Any, title: str, x: str = "", y: str = "", **more: Any) -> Any:
    """A plotly figure with its title and labels as they are and a legend below, where narrow windows have room for it.

    Long titles take several lines.
    """
    legend = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}
    margin = {"l": 70, "r": 60, "t": 60, "b": 150}
    lines = "<br>".join(map(escape, textwrap.wrap(title, _NARROW_LETTERS))) or escape(title)
    figure.update_layout(title={"text": lines, "font": {"size": 15}}, xaxis_title=escape(x), yaxis_title=escape(y),
                         template="plotly_white", legend=legend, margin=margin, modebar={"orientation": "v"})
    figure.update_layout(**more)
    return figure


def svg_of(ax: Axes) -> str:
    """The picture as SVG text, with letters as letters, to stand inside a page."""
    import matplotlib as mpl

    figure: Any = ax.figure
    buffer = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lmos", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]


def save(path: str | os.PathLike[str], draw: Callable[[], Axes], interactive: Callable[[], Any] | None = None) -> None:
    """Write a picture by suffix: `.png`, `.svg`, `.pdf`, or, where there is an `interactive` figure, `.html` (one file,
    no network). InputError for another suffix."""
    check(path, interactive=interactive is not None)
    suffix = Path(path).suffix.lower()
    if suffix == ".html" and interactive is not None:
        page: str = interactive().to_html(include_plotlyjs=True, full_html=True)
        write_atomically(path, page.replace("<head>", f"<head>{_VIEWPORT}", 1).encode())
        return
    figure: Any = draw().figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=_DPI)
    write_atomically(path, buffer.getvalue())


def check(path: str | os.PathLike[str], *, interactive: bool = True) -> None:
    """Raise InputError unless `save` writes that suffix."""
    check_output(path, SUFFIXES if interactive else SUFFIXES[:-1])


def check_count(count: int) -> None:
    """Raise InputError unless a front over so many objectives can be drawn."""
    if count < 2:
        raise InputError("plot", f"a front over {count} objective has no picture; expected two or more")
