"""Regions as a picture: what is fastest over a link's bandwidth and a device's speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lmos_opt.plots import style
from lmos_opt.policies.regions import KINDS, Kind, Way, stretches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES: Mapping[Kind, str] = {"device": "the device alone", "input": "the input sent", "cut": "a cut inside the network"}
COLOURS: Mapping[Kind, str] = {"device": style.EDGE, "input": style.WAIT, "cut": style.CHOSEN}
SPEEDS = 8.0
"""The device's times are drawn from this many times shorter to as many times longer."""
_ROWS = 81


def draw_regions(ways: Sequence[Way], low: float, high: float, ax: Axes | None = None, *, rtt_s: float = 0.0,
                 links: Mapping[str, float] | None = None) -> Axes:  # fmt: skip
    """Draw which kind of way is fastest at every bandwidth (B/s) of a range, exactly, for _ROWS speeds of the device; `links` are
    bandwidths (B/s) to mark by their names. Returns the Axes."""
    ax = style.new_axes() if ax is None else ax
    step = SPEEDS ** (2 / (_ROWS - 1))
    drawn: dict[Kind, list[tuple[float, float, float, float]]] = {kind: [] for kind in KINDS}
    for row in range(_ROWS):
        slower = SPEEDS ** (2 * row / (_ROWS - 1) - 1)
        kinds: list[tuple[float, float, Kind]] = []
        for piece in stretches(ways, low, high, slower, rtt_s):
            start, end, kind = float(piece.low), float(piece.high), piece.label.kind
            if kinds and kinds[-1][2] == kind:
                start = kinds.pop()[0]
            kinds.append((start, end, kind))
        for start, end, kind in kinds:
            drawn[kind].append((start, end, slower / step**0.52, slower * step**0.52))  # no gaps between rows
    from matplotlib.collections import PolyCollection

    for kind, areas in drawn.items():
        corners = [[(8e-6 * a, c), (8e-6 * b, c), (8e-6 * b, d), (8e-6 * a, d)] for a, b, c, d in areas]
        ax.add_collection(PolyCollection(corners, facecolor=COLOURS[kind], edgecolor="none"))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(8e-6 * low, 8e-6 * high)
    ax.set_ylim(1 / SPEEDS, SPEEDS)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_ticks([1 / SPEEDS, 0.25, 0.5, 1, 2, 4, SPEEDS], minor=False)
    ax.yaxis.set_ticks([], minor=True)
    ax.axhline(1, color="white", linewidth=1)
    for name, bandwidth in (links or {}).items():
        if low <= bandwidth <= high:
            ax.axvline(8e-6 * bandwidth, color="white", linewidth=0.6, linestyle=":")
            ax.text(8e-6 * bandwidth, 1.02, name, rotation=90, fontsize=5.5, ha="center", va="bottom", parse_math=False,
                    transform=ax.get_xaxis_transform())  # fmt: skip
    return ax
