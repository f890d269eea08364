"""The selection rules that the paper's tables are computed under, and how near each comes to the paper's cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PAPER_LATENCY_S = 5.62
"""Table 4's latency of VGG19 with LMOS (data/paper/table4.csv), as a budget."""
RULES = ("lmos", "knee", "ideal", "min_latency", "slack:10", "slack:50", f"budget:{PAPER_LATENCY_S}")
"""Every rule of docs/reference/rules.md. Rules with an argument have a usual one."""
OURS = "lmos"
"""The paper's own ranking."""


def beside_paper(choices: pd.DataFrame, paper: pd.Series[int]) -> pd.DataFrame:
    """The choices with `paper`, `ours` (x1) and `difference`; `paper` is by the choices' `instance`."""
    found = choices.rename(columns={"x1": "ours"})
    found["paper"] = found["instance"].map(paper).astype("Int64")
    found["difference"] = found["ours"] - found["paper"]
    return found


def nearest(compared: pd.DataFrame) -> pd.DataFrame:
    """A row for each rule, nearest first: its distance from the paper in layers, in all and on average; exact cells; empty cells.

    A cell without a split has the largest possible distance: the paper's cut, or the rest of the network if that is larger.
    """
    worst = compared[["paper"]].assign(rest=compared["layers"] - compared["paper"]).max(axis=1)
    off = compared["difference"].abs().fillna(worst).astype(int)
    table = compared.assign(off=off, exact=compared["difference"].eq(0).fillna(False), none=compared["ours"].isna())
    found = table.groupby("rule", sort=False).agg(layers_off=("off", "sum"), mean_off=("off", "mean"),
                                                  exact=("exact", "sum"), cells=("off", "size"), no_split=("none", "sum"))
    return found.sort_values("layers_off", kind="stable").reset_index()
