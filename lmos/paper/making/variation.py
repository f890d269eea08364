"""Figures 5 and 6: latency and edge memory over what table 2 varies, under each rule and at the paper's own cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmos.paper.making.cells import cells
from lmos.paper.making.drawing import grid, legend_below, styles
from lmos.paper.making.experiment import Reading, Result, Shown
from lmos.paper.making.lab import Lab
from lmos.paper.making.rules import RULES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_DRAWN = ("paper", *(rule for rule in RULES if rule != "slack:10"))
"""What one picture can hold."""


def run(lab: Lab, varied: str, claims: tuple[str, str]) -> Result:
    """The half of table 2 that varies `varied`; `claims` name what the paper says of latency and of memory."""
    import pandas as pd

    every = cells(lab)
    frame = every[every["varied"] == varied].reset_index(drop=True)
    kept = ["network", "varied", "value", "unit", "rule", "paper", "ours", "latency_s", "memory_bytes", "t_edge_s", "t_tx_s",
            "t_server_s", "reason"]  # fmt: skip
    wide = frame[frame["rule"].isin(["paper", "lmos", "min_latency", "ideal"])].pivot_table(
        index=["network", "value", "unit"], columns="rule", values=["latency_s", "memory_bytes"], sort=False, aggfunc="first")
    table = wide.reset_index()
    names: list[Any] = table.columns.tolist()
    table.columns = pd.Index([f"{what} {rule}".strip().replace("memory_bytes", "memory (MB),").replace("latency_s", "latency (s),")
                              for what, rule in names])
    for column in table.columns:
        if column.startswith("memory"):
            table[column] = table[column].astype(float) / 1e6
    title = "Latency and memory at the paper's cuts (paper), and under three rules"
    return Result(frame[kept], (Shown(title, table),),
                  (_moves(lab, frame, claims[0], "latency_s"), _moves(lab, frame, claims[1], "memory_bytes"),
                   *_printed_example(lab, frame, varied)))


def _moves(lab: Lab, frame: pd.DataFrame, claim: str, column: str) -> Reading:
    """How a quantity moves from each value to the next, at the paper's cuts and under the rules."""
    noun = "latency" if column == "latency_s" else "memory"
    counts: dict[str, list[int]] = {}
    for rule in ("paper", *RULES):
        steps = [step for _, part in frame[frame["rule"] == rule].groupby("network", sort=False)
                 for step in part.sort_values("value")[column].astype(float).diff().dropna()]
        counts[rule] = [sum(step > 0 for step in steps), sum(step == 0 for step in steps), sum(step < 0 for step in steps)]
    up, level, down = counts["paper"]
    others = "; ".join(f"{rule} {u} up, {s} level, {d} down" for rule, (u, s, d) in counts.items() if rule != "paper")
    agrees = up > 0 and down > 0 if noun == "latency" else up > 0 and level == down == 0
    return Reading("agrees" if agrees else "differs",
                   f"{lab.claim(claim)} At the paper's own cuts, with this model's times and bytes, the {noun} rises in {up} of "
                   f"{up + level + down} steps, stays in {level}, falls in {down}. Under the rules: {others}.")


def _printed_example(lab: Lab, frame: pd.DataFrame, varied: str) -> tuple[Reading, ...]:
    """The paper's example: VGG19 from 1 to 5 Mbps."""
    if varied != "bandwidth":
        return ()
    part = frame[(frame["network"] == "vgg19") & (frame["rule"] == "paper")].set_index("value")
    slow, fast = part.loc[1.0], part.loc[5.0]
    rises = fast["latency_s"] > slow["latency_s"]
    return (Reading("agrees" if rises else "differs",
                    f"Its example: VGG19 at the paper's cuts, {slow['ours']} layers at 1 Mbps and {fast['ours']} at 5 Mbps, takes "
                    f"{slow['latency_s']:.2f} s and then {fast['latency_s']:.2f} s here: it {'rises' if rises else 'falls'}, "
                    f"{fast['t_edge_s'] - slow['t_edge_s']:+.2f} s of it at the edge and "
                    f"{fast['t_tx_s'] - slow['t_tx_s']:+.2f} s on the link."),)


def draw(frame: pd.DataFrame) -> Figure:
    """Latency above, memory below, a column for each network, a line for each rule."""
    networks = list(dict.fromkeys(frame["network"]))
    figure, panels = grid(2, len(networks), 14, 7.5, share_x=True)
    look = styles(list(_DRAWN))
    for k, network in enumerate(networks):
        for row, (column, scale) in zip(panels, (("latency_s", 1.0), ("memory_bytes", 1e-6)), strict=True):
            ax = row[k]
            for rule in _DRAWN:
                part = frame[(frame["network"] == network) & (frame["rule"] == rule)]
                label = "the paper's cut" if rule == "paper" else f"rule {rule}"
                ax.plot(part["value"], part[column].astype(float) * scale, label=label, **look[rule])
            ax.set_xscale("log")
            ax.set_xticks(sorted(set(frame["value"])), [f"{value:g}" for value in sorted(set(frame["value"]))])
            ax.minorticks_off()
            ax.set_ylim(bottom=0)
        panels[0][k].set_title(network)
        panels[1][k].set_xlabel(f"{frame['varied'].iloc[0]} ({frame['unit'].iloc[0]})")
    panels[0][0].set_ylabel("latency (s)")
    panels[1][0].set_ylabel("edge memory (MB)")
    legend_below(figure, panels[0][0], 4)
    return figure
