"""A network's layers as a picture: the output of each, beside the image, and how the work adds up."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from lmos_opt.plots import style
from lmos_opt.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.profile import NetworkProfile

_MOST_NAMES = 50
"""Layers up to which each one is named below its bar."""


def draw_layers(profile: NetworkProfile, ax: Axes | None = None) -> Axes:
    """Draw each layer's output (MB) as a bar, and the image as a line: after a layer below it, fewer bytes cross than the image
    has. On an axis of its own at the right is the share of the work done so far. Returns the Axes of the bars."""
    ax = style.new_axes(10.5, 4.5) if ax is None else ax
    places = list(range(1, len(profile.layers) + 1))
    scale, _ = style.quantity("", "B")
    ax.bar(places, [scale * layer.output_bytes for layer in profile.layers], 0.85, color=style.EDGE, label="output of the layer")
    image_bytes = sum(spec.bytes for spec in profile.input_tensors.values())
    ax.axhline(scale * image_bytes, color=style.LINK, linestyle="--", label="input image")
    if profile.total_macs:
        done = ax.twinx()
        shares = [100 * macs / profile.total_macs for macs in accumulate(layer.macs for layer in profile.layers)]
        done.plot(places, shares, color=style.SERVER, marker=".", markersize=4, linewidth=1.2)
        done.set_ylabel("work done by then (% of the MACs)", color=style.SERVER)
        done.set_ylim(0, 105)
        ax.plot([], [], color=style.SERVER, marker=".", label="work done by then")
    title = f"{profile.name}: {counted(len(profile.layers), 'layer')}, {profile.total_macs / 1e9:.3g} GMACs"
    style.label(ax, title, "layer, in topological order", "output (MB)")
    ax.grid(visible=False, axis="x")
    if len(places) <= _MOST_NAMES:
        ax.set_xticks(places, [layer.name for layer in profile.layers], rotation=90, fontsize=7, parse_math=False)
    ax.margins(x=0.01)
    style.legend_beside(ax, 1.09)
    return ax
