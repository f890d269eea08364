"""Several fronts in one picture: beside each other with what the others dominate, or as the attainment of repeated runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lmos_opt.errors import InputError
from lmos_opt.fronts.combining import attainment
from lmos_opt.plots import style
from lmos_opt.plots.front import draw_front
from lmos_opt.plots.words import axis
from lmos_opt.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.front import Front


def draw_comparison(fronts: Mapping[str, Front], ax: Axes | None = None) -> Axes:
    """Draw fronts over the same two objectives by their names, with a cross on each point that another front dominates.

    Returns the Axes. Raises InputError if there is no front, or if their objectives are not the same two.
    """
    if not fronts:
        raise InputError("fronts", "there are none; expected at least one")
    for name, front in fronts.items():
        if len(front.names) != 2:
            raise InputError(f"fronts[{name!r}]", f"is over {counted(len(front.names), 'objective')}; expected two")
    ax = style.new_axes() if ax is None else ax
    for name, front in fronts.items():
        draw_front(front, ax, label=name)
    beaten = [point for front in fronts.values() for point in front
              if any(point in front.dominated_by(other) for other in fronts.values() if other is not front)]  # fmt: skip
    if beaten:
        one = next(iter(fronts.values()))
        (x_scale, _), (y_scale, _) = map(axis, one.objectives)
        x_name, y_name = one.names
        ax.plot([x_scale * point.values[x_name] for point in beaten], [y_scale * point.values[y_name] for point in beaten], "x",
                linestyle="none", color="black", markersize=8, label="dominated by another front")  # fmt: skip
        ax.legend(loc="best", fontsize=8, markerscale=0.6)
    return ax


def draw_attainment(fronts: Sequence[Front], ax: Axes | None = None, percentiles: Sequence[float] = (0, 50, 100)) -> Axes:
    """Draw the empirical attainment surfaces of several runs' fronts over two objectives; returns the Axes.

    Raises InputError and MissingExtraError as `lmos_opt.fronts.combining.attainment`, and for other than two objectives.
    """
    found = attainment(fronts, percentiles)
    objectives = fronts[0].objectives
    if len(objectives) != 2:
        raise InputError("fronts", f"are over {', '.join(fronts[0].names)}; expected two objectives")
    ax = style.new_axes() if ax is None else ax
    (x_scale, x_label), (y_scale, y_label) = map(axis, objectives)
    x, y = fronts[0].names
    for k, (percentile, surface) in enumerate(found.groupby("percentile")):
        ordered = surface.sort_values(x, ascending=objectives[0].sense == "min")
        ax.plot(x_scale * ordered[x], y_scale * ordered[y], "o-", drawstyle="steps-post", markersize=4, linewidth=1.2,
                color=style.FRONTS[k % len(style.FRONTS)], label=_words(float(str(percentile)), len(fronts)))  # fmt: skip
    style.label(ax, f"Attainment of {len(fronts)} runs", x_label, y_label)
    ax.margins(0.08)
    ax.legend(loc="best", fontsize=8)
    return ax


def _words(percentile: float, runs: int) -> str:
    if percentile <= 100 / runs:
        return "reached by one run at least"
    return "reached by all runs" if percentile == 100 else f"reached by {percentile:g} % of the runs"
