"""Times against size, one colour and one mark for each contestant, and performance profiles, one line for each engine."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median

from lmos.bench.results import Summary
from lmos_opt.errors import MissingExtraError
from lmos_opt.plots.style import PALETTE
from lmos_opt.processes.writing import write_atomically

_BLUE, _RED, _GREEN, _PINK, _ORANGE, _SKY, _BLACK, _ = PALETTE
_STYLES = {
    "ours": (_RED, "o"), "raw_highspy": (_BLUE, "s"), "raw_highspy_presolve": (_SKY, "D"), "enumeration": (_BLACK, "x"),
    "networkx_min_cut": (_GREEN, "^"), "pymoo_nsga2": (_PINK, "v"), "pyaugmecon": (_ORANGE, "P"),
}  # fmt: skip
"""A colour, and a mark that does without it."""


def save_times(summary: Sequence[Summary], path: Path) -> None:
    """Write the picture (.png); instances of one size count by their median, bars are quartiles. Split instances only."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plotting", "plots") from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.add_subplot()
    for name, (colour, mark) in _STYLES.items():
        for kind in ("chain", "graph"):
            shown = sorted((s for s in summary if s.contestant == name and s.kind == kind and s.complete), key=lambda s: s.size)
            sizes, middles, below, above = [], [], [], []
            for size, group in groupby(shown, key=lambda s: s.size):
                members = list(group)
                sizes.append(size)
                middles.append(median(s.median_s for s in members))
                below.append(max(0.0, middles[-1] - median(s.q1_s for s in members)))
                above.append(max(0.0, median(s.q3_s for s in members) - middles[-1]))
            if sizes:
                ax.errorbar(sizes, middles, [below, above], color=colour, marker=mark, capsize=3, markersize=6,
                            linewidth=1.2, linestyle="-" if kind == "chain" else "none",
                            markerfacecolor=colour if kind == "chain" else "white",
                            label=f"{name} ({kind}s)")  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlabel("layers, L")
    ax.set_ylabel("time, model building included (s)")
    ax.set_title("Time to a front of latency against edge memory (networkx_min_cut: least latency alone)", fontsize=10)
    ax.grid(visible=True, which="major", alpha=0.3)
    if ax.has_data():
        ax.legend(loc="upper left", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomically(path, buffer.getvalue())


def save_profiles(steps: Mapping[str, Sequence[tuple[float, float]]], path: Path) -> None:
    """Write the performance profiles of engines (.png): the share of problems against the ratio to the fastest."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plotting", "plots") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.add_subplot()
    farthest = max(4.0, *(step[0] * 1.1 for found in steps.values() for step in found))
    dashes = ("-", "--", "-.", ":")
    for k, (engine, found) in enumerate(steps.items()):
        ax.step([tau for tau, _ in found] + [farthest], [share for _, share in found] + [found[-1][1]], where="post", label=engine,
                color=PALETTE[k % len(PALETTE)], linestyle=dashes[k % len(dashes)], linewidth=1.8)  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlim(1.0, farthest)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("time over the fastest engine's")
    ax.set_ylabel("share of problems")
    ax.set_title("Performance profiles: on how many problems an engine is within a ratio of the fastest", fontsize=10)
    ax.grid(visible=True, alpha=0.3)
    ax.legend(loc="lower right", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomically(path, buffer.getvalue())
