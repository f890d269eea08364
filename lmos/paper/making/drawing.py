"""One look for all pictures: sizes that stay readable at half size, colours and marks that stay apart for everybody."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

from lmos_opt.errors import MissingExtraError
from lmos_opt.plots.style import PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Share = Literal["col"] | bool
MARKERS, DASHES = "osD^vPX*", ("-", "--", "-.", ":")
_LOOK: dict[Any, Any] = {"font.size": 12, "axes.titlesize": 12, "axes.labelsize": 12, "legend.fontsize": 11, "xtick.labelsize": 11,
         "ytick.labelsize": 11, "axes.grid": True, "grid.alpha": 0.3, "lines.linewidth": 1.8, "lines.markersize": 6,
         "axes.axisbelow": True}  # fmt: skip
_DPI = 130


@contextmanager
def look() -> Iterator[None]:
    """The pictures' style inside the block; MissingExtraError without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise MissingExtraError("a picture", "plots") from None
    with mpl.rc_context(_LOOK):
        yield


def png(draw: Callable[[pd.DataFrame], Figure], frame: pd.DataFrame) -> bytes:
    """A picture of a table."""
    with look():
        buffer = io.BytesIO()
        draw(frame).savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def grid(rows: int, columns: int, width: float, height: float, *, share_x: Share = False,
         share_y: Share = False) -> tuple[Figure, list[list[Axes]]]:  # fmt: skip
    """A figure of panels, sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels: Any = figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y)
    return figure, panels.tolist()


def styles(names: list[str]) -> dict[str, dict[str, Any]]:
    """A colour, a mark and a dash for each name; each mark and line smaller than the one before, which it may lie on."""
    sizes = [1.6 - 1.0 * k / max(len(names) - 1, 1) for k in range(len(names))]
    return {name: {"color": colour, "marker": marker, "linestyle": dash, "markersize": 7 * size, "linewidth": 2.2 * size}
            for name, colour, marker, dash, size in zip(names, cycle(PALETTE), cycle(MARKERS), cycle(DASHES), sizes, strict=False)}


def legend_below(figure: Figure, panel: Axes, columns: int) -> None:
    """One legend for all panels, of the lines of one of them."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
