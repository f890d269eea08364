"""Policies as pictures: how many layers run at the edge, as steps over what varies."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any

from lmos_opt.plots import style
from lmos_opt.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.policies.policy import Policy

_SCALES = {"bandwidth": (8e-6, "bandwidth (Mbps)"), "memory": (1e-6, "memory limit (MB)")}
_MOST_NAMES = 12
"""Stretches up to which each one is labelled with its last edge layer."""


def draw_policy(policy: Policy, ax: Axes | None = None) -> Axes:
    """Draw x1 as steps, bandwidth on a logarithmic axis, a gap where the rule admits no split; returns the Axes."""
    ax = style.new_axes() if ax is None else ax
    from matplotlib.ticker import MaxNLocator

    from lmos_opt.plots.labels import UPWARDS, beside

    scale, label = _SCALES[policy.over]
    for breakpoint_ in policy.breakpoints:
        ax.axvline(scale * breakpoint_, color=style.GREY, linewidth=0.5, alpha=0.6)
    for stretch in policy.stretches:
        if stretch.x1 is None:
            continue
        ax.plot([scale * stretch.low, scale * stretch.high], [stretch.x1, stretch.x1], color=style.EDGE, linewidth=3,
                solid_capstyle="butt", marker="|" if stretch.low == stretch.high else "")
        if len(policy.stretches) <= _MOST_NAMES:
            beside(ax, (scale * stretch.low, stretch.x1), _last(stretch.edge_layers), fontsize=7, sides=UPWARDS)
    if policy.over == "bandwidth":
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlim(scale * policy.low, scale * policy.high if policy.high > policy.low else None)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    style.label(ax, _title(policy), label, "layers at the edge, x1")
    ax.grid(visible=False, axis="x")
    ax.margins(y=0.12)
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
    scale, label = _SCALES[policy.over]
    xs, ys, texts = [], [], []
    for stretch in policy.stretches:
        text = f"x1 = {stretch.x1}, x2 = {stretch.x2}<br>last at the edge: {escape(_last(stretch.edge_layers))}"
        xs += [scale * stretch.low, scale * stretch.high]
        ys += [stretch.x1, stretch.x1]
        texts += [text, text]
    figure = go.Figure([go.Scatter(x=xs, y=ys, text=texts, mode="lines+markers", line={"color": style.EDGE, "width": 3})])
    return style.finish(figure, _title(policy), label, "layers at the edge, x1",
                        xaxis_type="log" if policy.over == "bandwidth" else "linear")


def _last(edge_layers: tuple[str, ...] | None) -> str:
    return (edge_layers or ("(none)",))[-1]


def _title(policy: Policy) -> str:
    return f"{policy.instance}: rule {policy.rule}, {counted(len(policy.stretches), 'stretch', 'stretches')} over {policy.over}"
