"""Figures 2 and 3: the fraction of layers at the edge, one parameter of table 1 varied, the others at their defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmos.paper.making.drawing import grid, legend_below, styles
from lmos.paper.making.experiment import Reading, Result, Shown
from lmos.paper.making.lab import Lab
from lmos.paper.making.synthetic import SIZES, synthetic
from lmos.paper.making.trends import PROSE, theory, trends

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RULES = ("lmos", "knee", "ideal", "min_latency", "slack:50", "budget:1")
VALUES: dict[str, tuple[float, ...]] = {
    "bandwidth": (1, 2, 5, 10, 20, 50, 100, 200),
    "edge_storage": (256, 500, 1000, 2000, 4000, 8000, 16000),
    "edge_cores": (1, 2, 4, 8),
    "edge_clock": (1.0, 1.5, 2.0),
    "server_cores": (1, 2, 4, 8),
    "server_clock": (1.5, 2.0, 2.6, 3.2),
}
"""Within table 1's ranges, ends and default included."""
UNITS = {"bandwidth": "bandwidth (Mbps)", "edge_storage": "edge storage (MB)", "edge_cores": "edge cores",
         "edge_clock": "edge clock (GHz)", "server_cores": "server cores", "server_clock": "server clock (GHz)"}  # fmt: skip


def run(lab: Lab, parameters: Sequence[str], claims: dict[str, str]) -> Result:
    """The experiment over some parameters; `claims` names the paper's claim about each."""
    defaults = table1_defaults(lab)
    cases = [({"parameter": parameter, "value": float(value), "layers": layers},
              synthetic(layers, lab.seed, {**defaults, parameter: value}))
             for parameter in parameters for layers in SIZES for value in VALUES[parameter]]
    frame = lab.choices(cases, RULES).rename(columns={"x1": "ours"})
    frame["fraction"] = frame["ours"].astype("Float64") / frame["layers"]
    found = trends(frame)
    readings = [_reading(lab, found, parameter, claims[parameter]) for parameter in parameters]
    readings += _extra(lab, frame)
    kept = ["parameter", "value", "layers", "rule", "ours", "fraction", "latency_s", "memory_bytes", "crossing_bytes",
            "front_points", "reason"]  # fmt: skip
    return Result(frame[kept], (Shown("Trends: theory, the paper's prose, and the fronts", found),), tuple(readings))


def table1_defaults(lab: Lab) -> dict[str, float]:
    """Table 1's defaults by parameter."""
    printed = lab.paper("table1")
    return {str(name): float(value) for name, value in zip(printed["parameter"], printed["default"], strict=True)}


def draw(frame: pd.DataFrame) -> Figure:
    """A row of panels for each rule, a column for each parameter, a line for each network."""
    parameters = list(dict.fromkeys(frame["parameter"]))
    columns = len(parameters)
    figure, panels = grid(len(RULES), columns, 2 + 3.4 * columns, 2.1 * len(RULES), share_y=True, share_x="col")
    look = styles([str(size) for size in SIZES])
    for row, rule in zip(panels, RULES, strict=True):
        for ax, parameter in zip(row, parameters, strict=True):
            part = frame[(frame["rule"] == rule) & (frame["parameter"] == parameter)]
            for size in SIZES:
                some = part[part["layers"] == size]
                ax.plot(some["value"], some["fraction"].astype(float), label=f"{size} layers", **look[str(size)])
            ax.set_title(f"rule {rule}" + (" (gaps: no split within 1 s)" if rule == "budget:1" and columns == 2 else ""))
            if parameter in ("bandwidth", "edge_storage"):
                ax.set_xscale("log")
            ax.set_xticks(VALUES[parameter], [f"{value:g}" for value in VALUES[parameter]], minor=False)
            ax.minorticks_off()
            ax.set_ylim(-0.05, 1.05)
    for ax, parameter in zip(panels[-1], parameters, strict=True):
        ax.set_xlabel(UNITS[parameter])
    figure.supylabel("fraction of layers at the edge")
    legend_below(figure, panels[0][0], 5 if columns > 2 else 3)
    return figure


def _reading(lab: Lab, found: pd.DataFrame, parameter: str, claim: str) -> Reading:
    part = found[found["as this grows"] == parameter].to_dict("records")
    whole = f"{len(SIZES)} of {len(SIZES)}"
    as_said = [row["rule"] for row in part if row["paper holds"] == whole]
    others = [row["rule"] for row in part if row["rule"] not in as_said]
    still = [row["rule"] for row in part if row["seen"] == f"same {len(SIZES)}"]
    against = [row["rule"] for row in part if theory(parameter, row["rule"]) not in (None, "same", PROSE[parameter])]
    broken = [row["rule"] for row in part if row["theory holds"] not in ("", whole)]
    noun = parameter.replace("_", " ")
    text = (f"{lab.claim(claim)} With more {noun} that is so for all {len(SIZES)} networks under "
            f"{', '.join(as_said) or 'no rule'}" + (f", and not under {', '.join(others)}." if others else "."))
    if still:
        text += f" Under {', '.join(still)} nothing moves at all."
    if against:
        text += f" Under {', '.join(against)} theory says the opposite of the paper."
    text += f" Theory is broken under {', '.join(broken)}." if broken else " Wherever theory says something, it holds."
    return Reading("differs" if others or against else "agrees", text)


def _extra(lab: Lab, frame: pd.DataFrame) -> list[Reading]:
    """Readings that the general statement does not cover."""
    found = []
    bandwidth = frame[(frame["parameter"] == "bandwidth") & (frame["rule"] == "min_latency")]
    if len(bandwidth):
        sent = [part.sort_values("value")["crossing_bytes"].diff().dropna() for _, part in bandwidth.groupby("layers")]
        rising = all(bool((steps >= 0).all()) for steps in sent)
        found.append(Reading("note", "What theory does say of the bandwidth under min_latency: the bytes that cross never become "
                                     f"fewer as it grows, which {'holds' if rising else 'is broken'} here. The outputs of "
                                     "these networks shrink with depth, so more bytes means fewer layers: the opposite of the "
                                     "paper's explanation, that more computation at the edge means a larger output."))
    storage = frame[frame["parameter"] == "edge_storage"]
    if len(storage):
        moved = {size: [rule for rule in RULES if _moves(storage[(storage["layers"] == size) & (storage["rule"] == rule)])]
                 for size in SIZES}
        found.append(Reading("agrees" if not moved[SIZES[0]] else "differs",
                             f"{lab.claim('fig2-ten')} Here the storage moves the {SIZES[0]} layers under "
                             f"{', '.join(moved[SIZES[0]]) or 'no rule'} and the {SIZES[-1]} under "
                             f"{', '.join(moved[SIZES[-1]]) or 'no rule'}."))
    return found


def _moves(part: pd.DataFrame) -> bool:
    """Whether the number of edge layers is not the same throughout."""
    return len(part["ours"].drop_duplicates()) > 1
