"""Figure 7: latency and edge memory of LMOS and the approaches that it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmos.paper.making.drawing import grid, legend_below
from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab, rows
from lmos.paper.table3 import NETWORKS, approaches
from lmos_opt.plots.style import PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_BARS = (("LMOS", "lmos", "LMOS, literal"), ("LMOS", "ideal", "LMOS, rule ideal"), ("LMOS", "slack:50", "LMOS, rule slack:50"),
         ("LOA", None, "LOA"), ("ECO", None, "ECO"), ("SCO", None, "SCO"), ("SCO, JPEG", None, "SCO, JPEG"), ("RS", None, "RS"))
_HATCHES = ("", "//", "\\\\", "", "xx", "", "..", "")


def _run(lab: Lab) -> Result:
    frame = approaches(lab)
    at_cuts = _paper_cuts(lab)
    table = frame[["approach", "rule", "network", "ours", "latency_s", "latency_sd"]].copy()
    table["memory (MB)"] = frame["memory_bytes"].astype(float) / 1e6
    table["memory sd (MB)"] = frame["memory_sd"].astype(float) / 1e6
    return Result(frame, (Shown("Latency and memory by approach", table),
                          Shown("The paper's own cuts under this model's times and bytes", at_cuts)),
                  _readings(lab, frame, at_cuts))


def _paper_cuts(lab: Lab) -> pd.DataFrame:
    import pandas as pd

    parts = [lab.choices([({"approach": line.approach, "network": line.network}, lab.instance(line.network, memory="16GB"))],
                        [f"cut:{line.edge_layers}"]) for line in rows(lab.paper("table3"))]
    found = pd.concat(parts, ignore_index=True)
    found["memory (MB)"] = found["memory_bytes"].astype(float) / 1e6
    return found[["approach", "network", "x1", "latency_s", "memory (MB)"]]


def _readings(lab: Lab, frame: pd.DataFrame, at_cuts: pd.DataFrame) -> tuple[Reading, ...]:
    of = {name: part.set_index("network") for name, part in frame.groupby("approach", sort=False) if name != "LMOS"}
    cuts = {name: part.set_index("network") for name, part in at_cuts.groupby("approach", sort=False)}
    sco_least = [name for name in NETWORKS if of["SCO"]["latency_s"][name] <= of["LOA"]["latency_s"][name]]
    printed_apart = [name for name in NETWORKS if cuts["LOA"]["x1"][name] != 0]
    eco_slowest = [name for name in NETWORKS if of["ECO"]["latency_s"][name] >= cuts["LMOS"]["latency_s"][name]]
    loa_below = [name for name in NETWORKS if cuts["LOA"]["latency_s"][name] < cuts["LMOS"]["latency_s"][name]]
    share = max(cuts["LOA"]["memory (MB)"][name] / cuts["ECO"]["memory (MB)"][name] for name in NETWORKS)
    spread = (of["RS"]["latency_sd"] / of["RS"]["latency_s"]).astype(float)
    gain = (of["SCO"]["latency_s"] / of["SCO, JPEG"]["latency_s"]).astype(float)
    return (
        Reading("differs", f"{lab.claim('fig7-sco')} Nothing can be faster than LOA, which is the least latency by definition; the "
                           f"paper's LOA cuts {', '.join(printed_apart)} elsewhere than SCO does, so one of its two statements "
                           "cannot be, unless they tie. Here SCO is as fast as LOA for "
                           f"{', '.join(sco_least) or 'no network'}."),
        Reading("agrees" if len(eco_slowest) == len(NETWORKS) else "differs",
                f"{lab.claim('fig7-eco')} ECO has the most memory by definition; it is slower than the paper's LMOS cut for "
                f"{', '.join(eco_slowest) or 'no network'}"
                + (f", and faster for {', '.join(name for name in NETWORKS if name not in eco_slowest)}."
                   if len(eco_slowest) < len(NETWORKS) else ".")),
        Reading("agrees" if len(loa_below) == len(NETWORKS) and share < 0.1 else "differs",
                f"{lab.claim('fig7-loa')} At the paper's cuts its LOA is faster than its LMOS for "
                f"{', '.join(loa_below) or 'no network'}, with at most {share:.1%} of ECO's memory."),
        Reading("agrees", f"{lab.claim('fig7-rs')} Over {int(of['RS']['trials'].iloc[0])} seeded trials a network the latency's "
                          f"standard deviation is {spread.min():.0%} to {spread.max():.0%} of its mean."),
        Reading("note", f"What the paper leaves out: SCO may send a JPEG. At "
                        f"{int(lab.csv('pictures', 'jpeg224.csv')['bytes'].mean())} bytes (the mean of the bundled pictures) it is "
                        f"{gain.min():.1f} to {gain.max():.1f} times as fast as SCO with the float32 image."),
    )


def draw(frame: pd.DataFrame) -> Figure:
    """Bars by network, an approach a colour; RS with its standard deviation."""
    figure, panels = grid(2, 1, 12, 8, share_x=True)
    width, places = 0.8 / len(_BARS), np.arange(len(NETWORKS))
    for k, (approach, rule, label) in enumerate(_BARS):
        mine = (frame["approach"] == approach) & (frame["rule"].eq(rule) if rule is not None else True)
        part = frame[mine].set_index("network").reindex(list(NETWORKS))
        at = places + (k - (len(_BARS) - 1) / 2) * width
        for (ax,), (column, spread, scale) in zip(panels, (("latency_s", "latency_sd", 1.0), ("memory_bytes", "memory_sd", 1e-6)),
                                                  strict=True):  # fmt: skip
            heights, errors = (part[name].astype(float).to_numpy() * scale for name in (column, spread))
            ax.bar(at, heights, width, label=label, color=PALETTE[k], hatch=_HATCHES[k], edgecolor="white", linewidth=0.5)
            if approach == "RS":
                ax.errorbar(at, heights, [np.minimum(errors, heights), errors], fmt="none", ecolor="black", capsize=3, linewidth=1)
    panels[0][0].set_ylabel("latency (s)")
    panels[1][0].set_ylabel("edge memory (MB)")
    panels[1][0].set_xticks(places, NETWORKS)
    legend_below(figure, panels[0][0], 4)
    return figure


EXPERIMENT = Experiment("fig7", "LMOS and other approaches", "figure 7, section 5.4", _run, draw)
