"""Figure 1: the latency of four networks and its parts, for every cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmos.paper.making.drawing import grid, legend_below, styles
from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab
from lmos_opt.instance import Instance
from lmos_opt.rules.baselines import cut
from lmos_opt.split import Split

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NETWORKS = ("alexnet", "vgg13", "vgg16", "vgg19")
_PARTS = {"latency_s": "total", "t_edge_s": "edge", "t_tx_s": "edge to server", "t_server_s": "server",
          "t_back_s": "server to edge"}  # fmt: skip


def _run(lab: Lab) -> Result:
    import pandas as pd

    frame = pd.DataFrame([row for network in NETWORKS for row in _cuts(network, lab.instance(network))])
    table4 = lab.paper("table4").set_index(["configuration", "quantity"])["value"]
    whole = (frame["network"] == "vgg19") & (frame["x1"] == frame.loc[frame["network"] == "vgg19", "x1"].max())
    frame["paper"] = pd.Series(table4["VGG19 No Split", "latency"], index=frame.index[whole])
    frame["ours"] = frame["latency_s"]
    best = frame.loc[frame.groupby("network", sort=False)["latency_s"].idxmin()]
    ends = pd.DataFrame([{"network": name, "least latency after layers": int(best.loc[best["network"] == name, "x1"].iloc[0]),
                          "least (s)": part["latency_s"].min(), "all at the server (s)": part["latency_s"].iloc[0],
                          "all at the edge (s)": part["latency_s"].iloc[-1],
                          "edge and link, of the mean total": (part["t_edge_s"] + part["t_tx_s"]).sum() / part["latency_s"].sum()}
                         for name, part in frame.groupby("network", sort=False)])
    return Result(frame, (Shown("The ends of the curves, and their least point", ends),), _readings(lab, frame, ends))


def _cuts(network: str, instance: Instance) -> list[dict[str, Any]]:
    rows = []
    for n in range(len(instance.layers) + 1):
        times = Split(instance, frozenset(cut(instance, n))).times
        back = instance.layers[-1].output_bytes / instance.bandwidth_bytes_per_s if n < len(instance.layers) else 0.0
        rows.append({"network": network, "x1": n, "last_layer": instance.names[n - 1] if n else "input",
                     "t_edge_s": times.t_edge_s, "t_tx_s": times.t_tx_s, "t_server_s": times.t_server_s,
                     "t_back_s": back, "latency_s": times.latency_s})  # fmt: skip
    return rows


def _readings(lab: Lab, frame: pd.DataFrame, ends: pd.DataFrame) -> tuple[Reading, ...]:
    share = ends["edge and link, of the mean total"].min()
    halves = [(name, part["latency_s"].iloc[: len(part) // 2].mean(), part["latency_s"].iloc[len(part) // 2 :].mean())
              for name, part in frame.groupby("network", sort=False)]
    early = [str(name) for name, first, second in halves if first < second]
    late = [str(name) for name, first, second in halves if first >= second]
    cell = frame.dropna(subset=["paper"]).iloc[0]
    back = frame["t_back_s"].max()
    return (
        Reading("agrees" if share > 0.5 else "differs",
                f"{lab.claim('fig1-main')} Here they are at least {share:.0%} of the latency, averaged over a network's cuts."),
        Reading("differs" if late else "agrees",
                f"{lab.claim('fig1-early')} The mean latency over the first half of the cuts is lower than over the second for "
                f"{', '.join(early) or 'no network'}" + (f", and higher for {', '.join(late)}: the first layers put out far more "
                                                         "than the image holds, and the link pays for it." if late else ".")),
        Reading("agrees", f"{lab.claim('fig1-return')} A result of 1000 numbers takes {back * 1e3:.1f} ms at 10 Mbps; like the "
                          "paper's objective, the total leaves it out."),
        Reading("note", f"The one number that the paper prints for a point of this figure is table 4's: VGG19 whole, "
                        f"{cell['paper']:g} s, beside {cell['ours']:.2f} s here. The edge's operations per cycle were "
                        "fitted to it, so this is no test."),
    )


def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each network, a line for each part."""
    figure, panels = grid(2, 2, 11, 7.5)
    look = styles(list(_PARTS))
    for ax, (name, part) in zip([ax for row in panels for ax in row], frame.groupby("network", sort=False), strict=True):
        for column, label in _PARTS.items():
            ax.plot(part["x1"], part[column], label=label, markevery=4, **look[column])
        ax.set_title(str(name))
        ax.set_ylim(bottom=0)
    for ax in panels[1]:
        ax.set_xlabel("layers at the edge, x1")
    for row in panels:
        row[0].set_ylabel("time (s)")
    legend_below(figure, panels[0][0], 5)
    return figure


EXPERIMENT = Experiment("fig1", "Total latency and its parts for every splitting point", "figure 1, section 3.1", _run, draw)
