"""Policies as pictures: the number of layers up to each place except the last, as steps over the quantity that varies."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any

from lmos_opt.plots import style
from lmos_opt.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.policies.policy import Policy, Stretch

_AXES = {"bandwidth": (8e-6, "bandwidth", "Mbps"), "memory": (1e-6, "memory limit", "MB"), "context": (1.0, "context", "tokens")}
_Y = "layers at the edge, x1"
_MOST_NAMES = 12
"""Stretches up to which each one is labelled with its last edge layer."""


def draw_policy(policy: Policy, ax: Axes | None = None) -> Axes:
    """Draw the steps, with the bandwidth on a logarithmic axis and a gap where the rule admits no split; returns the Axes.

    With two places the steps are those of x1. With more there are steps for each hop: the number of layers that run before it.
    """
    ax = style.new_axes() if ax is None else ax
    from matplotlib.ticker import MaxNLocator

    from lmos_opt.plots.labels import UPWARDS, beside

    scale, label = _axis(policy)
    hops = _hops(policy)
    for breakpoint_ in policy.breakpoints:
        ax.axvline(scale * breakpoint_, color=style.GREY, linewidth=0.5, alpha=0.6)
    for h in reversed(hops):
        colour, width = style.place_colours(len(hops) + 1)[h - 1], 3.0 + 2.5 * (h - 1)  # wider below, where steps lie on each other
        named = f"up to place {h}"
        for stretch in policy.stretches:
            if not stretch.counts:
                continue
            ends, n = [scale * stretch.low, scale * stretch.high], sum(stretch.counts[:h])
            ax.plot(ends, [n, n], color=colour, linewidth=width, solid_capstyle="butt", label=named,
                    marker="|" if stretch.low == stretch.high else "")
            named = "_"  # once in the legend
            if len(hops) == 1 and len(policy.stretches) <= _MOST_NAMES:
                beside(ax, (ends[0], n), _last(stretch.edge_layers), fontsize=7, sides=UPWARDS)
    if policy.varied.kind == "bandwidth":
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlim(scale * policy.low, scale * policy.high if policy.high > policy.low else None)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    style.label(ax, _title(policy), label, _Y if len(hops) == 1 else "layers up to a place")
    ax.grid(visible=False, axis="x")
    ax.margins(y=0.12)
    if len(hops) > 1:
        style.legend_beside(ax)
    return ax


def save_policy_plot(policy: Policy, path: str | os.PathLike[str]) -> None:
    """Write the picture by suffix: `.png`, `.svg`, `.pdf`, or `.html` (interactive, one file, no network)."""
    style.save(path, lambda: draw_policy(policy), lambda: interactive_policy(policy))


def check_policy_plot(path: str | os.PathLike[str]) -> None:
    """Raise InputError unless `save_policy_plot` writes that suffix."""
    style.check(path)


def interactive_policy(policy: Policy) -> Any:
    """The same as a plotly figure."""
    go = style.plotly_objects()
    scale, label = _axis(policy)
    hops = _hops(policy)
    figure = go.Figure()
    for h in hops:
        xs, ys, texts = [], [], []
        for stretch in policy.stretches:
            xs += [scale * stretch.low, scale * stretch.high]
            ys += [sum(stretch.counts[:h]) if stretch.counts else None] * 2
            texts += [f"{_counts(stretch)}<br>last at the edge: {escape(_last(stretch.edge_layers))}"] * 2
        colour = style.place_colours(len(hops) + 1)[h - 1]
        figure.add_trace(go.Scatter(x=xs, y=ys, text=texts, mode="lines+markers", line={"color": colour, "width": 3},
                                    name=f"up to place {h}"))
    return style.finish(figure, _title(policy), label, _Y if len(hops) == 1 else "layers up to a place",
                        xaxis_type="log" if policy.varied.kind == "bandwidth" else "linear")


def _hops(policy: Policy) -> range:
    return range(1, max(len(stretch.counts) for stretch in policy.stretches))


def _axis(policy: Policy) -> tuple[float, str]:
    """The factor from the varied quantity to the axis, and the label of the axis."""
    (scale, what, unit), varied = _AXES[policy.varied.kind], policy.varied
    which = "" if varied.number == 1 else f" of {'hop' if varied.kind == 'bandwidth' else 'place'} {varied.number}"
    return scale, f"{what}{which} ({unit})"


def _counts(stretch: Stretch) -> str:
    return ", ".join(f"x{p} = {n}" for p, n in enumerate(stretch.counts, 1)) or "no split"


def _last(edge_layers: tuple[str, ...] | None) -> str:
    return (edge_layers or ("(none)",))[-1]


def _title(policy: Policy) -> str:
    return f"{policy.instance}: rule {policy.rule}, {counted(len(policy.stretches), 'stretch', 'stretches')} over {policy.over}"
