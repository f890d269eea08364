"""A run as a picture: its stages beside the predicted ones, or each image's way over time (a Gantt chart)."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmos_opt.errors import InputError
from lmos_opt.plots import style
from lmos_opt.units import counted
from runner.watching.report import ImageResult, RunReport, stage_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lmos_opt.plan import Plan

KINDS = ("stages", "gantt")
_LETTERS = 14
"""Of a line beneath a bar."""
_Way = tuple[str, str, Callable[[ImageResult], float]]
"""Of a part of an image's way: its name, its colour, its time (s)."""
_MOST_ROWS = 60
"""Images that a Gantt chart shows; of more, the first ones."""


def draw_report(report: RunReport, ax: Axes | None = None, kind: str | None = None) -> Axes:
    """Draw a report as one of KINDS; without a kind, a pipelined run as a Gantt chart and any other as stages.

    Raises InputError for another kind, and for a report without measurements.
    """
    if kind is None:
        kind = "gantt" if report.pipelined and _is_timed(report) else "stages"
    if kind not in KINDS:
        raise InputError("plot", f"{kind!r} is not a picture of a report; there are {', '.join(KINDS)}")
    return draw_gantt(report, ax) if kind == "gantt" else draw_stages(report, ax)


def draw_stages(report: RunReport, ax: Axes | None = None) -> Axes:
    """Draw each stage's predicted time and measured median, with whiskers up to the 95th percentile; returns the Axes.

    InputError if the report has no measured stage.
    """
    ax = style.new_axes() if ax is None else ax
    names = stage_names(report.plan)
    keys = [key for key in names if key in report.measured and key.endswith("_s")]
    if not keys:
        raise InputError("plot", "no image got through in this run, so there are no measured stages to draw")
    predicted = [report.predicted.get(key, 0.0) for key in keys]
    median = [report.measured[key].p50 for key in keys]
    above = [report.measured[key].p95 - report.measured[key].p50 for key in keys]
    places = list(range(len(keys)))
    ax.bar([k - 0.2 for k in places], predicted, 0.38, color=style.GREY, label="predicted")
    ax.bar([k + 0.2 for k in places], median, 0.38, yerr=[[0.0] * len(keys), above], capsize=4, color=style.EDGE,
           label="measured: median, up to the 95th percentile")
    style.label(ax, _title(report), "", "time (s)")
    ax.grid(visible=False, axis="x")
    ax.set_xticks(places, [textwrap.fill(names[key], _LETTERS) for key in keys], parse_math=False)
    ax.legend(loc="best", fontsize=8)
    return ax


def draw_gantt(report: RunReport, ax: Axes | None = None) -> Axes:
    """Draw each image's stages over the run's time, one row an image; returns the Axes.

    Raises InputError if the report does not say when its images began.
    """
    images = _timed(report)
    ax = style.new_axes(9.5, min(1.8 + 0.28 * len(images), 12)) if ax is None else ax
    ends = [image.began_s or 0.0 for image in images]
    for name, colour, seconds in _way(report.plan):
        spans = list(map(seconds, images))
        ax.barh(range(len(images)), spans, 0.75, left=ends, color=colour, hatch=style.HATCHES[colour], edgecolor="white",
                linewidth=0, label=name)
        ends = [end + span for end, span in zip(ends, spans, strict=True)]
    left_out = len(report.per_image) - len(images)
    style.label(ax, _title(report) + (f", the first {len(images)}" if left_out else ""), "time since the run began (s)", "")
    ax.grid(visible=False, axis="y")
    ax.set_yticks(range(len(images)), [Path(image.file).name for image in images], fontsize=7, parse_math=False)
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 if len(images) > 12 else -0.3), ncols=4, fontsize=8, frameon=False)
    return ax


def _way(plan: Plan) -> list[_Way]:
    """The parts of an image's way, in their order."""
    places, hops = style.place_colours(plan.n_places), style.hop_colours(plan.n_places - 1)
    names = ["edge", "server"] if plan.n_places == 2 else list(plan.setting.place_names)
    links = ["link"] if plan.n_places == 2 else [f"hop {h}" for h in range(1, plan.n_places)]
    found: list[_Way] = [(names[0], places[0], lambda image: image.t_edge_s),
                         ("waiting to be sent", style.WAIT, lambda image: image.t_queue_s),
                         (f"{links[0]}, with the answer's way back", hops[0], lambda image: image.t_tx_s),
                         (f"waiting at the {names[1]}" if plan.n_places == 2 else f"waiting at {names[1]}", style.GREY,
                          lambda image: image.t_server_queue_s),
                         (names[1], places[1], lambda image: image.t_server_s)]  # fmt: skip
    for k, (name, link) in enumerate(zip(names[2:], links[1:], strict=True)):
        found += [(link, hops[k + 1], partial(_beyond, k, "t_tx_s")),
                  (f"waiting at {name}", style.GREY, partial(_beyond, k, "t_queue_s")),
                  (name, places[k + 2], partial(_beyond, k, "t_server_s"))]  # fmt: skip
    return found


def _beyond(k: int, key: str, image: ImageResult) -> float:
    """What a further hop or place took of an image (s), 0 if it did not get there."""
    return float(getattr(image.beyond[k], key)) if k < len(image.beyond) else 0.0


def _timed(report: RunReport) -> list[ImageResult]:
    if not _is_timed(report):
        raise InputError("plot", "this report does not say when its images began; expected began_s in per_image")
    return list(report.per_image[:_MOST_ROWS])


def _is_timed(report: RunReport) -> bool:
    return bool(report.per_image) and all(image.began_s is not None for image in report.per_image)


def _title(report: RunReport) -> str:
    name = report.plan.network.name if report.plan.network else "network"
    manner = ", pipelined" if report.pipelined else ""
    cut = f"x1 = {report.plan.x1}" if report.plan.n_places == 2 else f"{', '.join(map(str, report.plan.counts))} layers"
    return f"{name}, {cut}: {counted(report.images, 'image')}{manner}"
