"""Table 2: layers at the edge when bandwidth or storage vary, under every selection rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmos.paper.making.cells import cells, setting
from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab, rows
from lmos.paper.making.rules import RULES, beside_paper, nearest
from lmos_opt.instance import Instance

if TYPE_CHECKING:
    import pandas as pd

_BANDWIDTH, _STORAGE = "table 2, 10 Mbps column", "table 2, 16 GB column"
_COLUMNS = ["network", "varied", "value", "unit", "rule", "paper", "ours", "difference", "layers", "latency_s",
            "memory_bytes", "reason"]  # fmt: skip


def _run(lab: Lab) -> Result:
    import pandas as pd

    every = cells(lab)
    ours = every[every["rule"] != "paper"]
    ranking = nearest(ours)
    by_row = pd.concat([nearest(part).assign(varied=varied) for varied, part in ours.groupby("varied", sort=False)])
    by_row = by_row[["varied", "rule", "layers_off", "mean_off", "exact", "cells", "no_split"]]
    wide = ours.pivot_table(index=["network", "varied", "value", "unit", "paper"], columns="rule", values="ours", sort=False,
                            aggfunc="first")[list(RULES)].reset_index()
    wide.columns.name = None
    doubling, doubled = _doubling(lab)
    best = ranking.iloc[0]
    tables = (Shown("Layers at the edge: the paper's, and under each rule", wide), Shown("Which rule comes nearest", ranking),
              Shown("The same for each half of the table", by_row), Shown("One setting, two answers", _twice(lab)),
              Shown("A model of memory that doubles", doubled))  # fmt: skip
    readings = (
        Reading("differs", f"The nearest rule over the whole table is {best['rule']}: {best['layers_off']} layers off over "
                           f"{best['cells']} cells, {best['mean_off']:.1f} a cell, {best['exact']} met exactly. No rule gives "
                           "the table."),
        _literal(ours), _twice_reading(lab), _storage_reading(lab, every), doubling,
    )  # fmt: skip
    return Result(every.loc[every["rule"] != "paper", _COLUMNS], tables, readings)


def _literal(ours: pd.DataFrame) -> Reading:
    part = ours[(ours["rule"] == "lmos") & (ours["varied"] == "bandwidth")]
    moves = part.groupby("network")["ours"].nunique().max() > 1
    printed = part.groupby("network")["paper"].agg(["min", "max"])
    spans = ", ".join(f"{low} to {high}" for low, high in printed.itertuples(index=False))
    return Reading("differs", "The paper's ranking taken literally returns the most memory that fits, so the bandwidth "
                              f"{'moves' if moves else 'never moves'} it here: {', '.join(map(str, part['ours'].unique()))} "
                              f"layers, all there are. The paper's own cuts move ({spans}), so they were not chosen by it.")


def _twice(lab: Lab) -> pd.DataFrame:
    """10 Mbps and 16 GB stand in both halves of table 2, and in table 3."""
    table2, table3 = lab.paper("table2"), lab.paper("table3")
    at = {_BANDWIDTH: (table2["varied"] == "bandwidth") & (table2["value"] == 10),
          _STORAGE: (table2["varied"] == "storage") & (table2["value"] == 16)}
    found = table2[next(iter(at.values()))][["network"]].reset_index(drop=True)
    for name, cells_there in at.items():
        found[name] = table2[cells_there]["edge_layers"].to_numpy()
    found["table 3, LMOS"] = table3[table3["approach"] == "LMOS"]["edge_layers"].to_numpy()
    return found


def _twice_reading(lab: Lab) -> Reading:
    table = _twice(lab)
    apart = table[table[_BANDWIDTH] != table[_STORAGE]]
    return Reading("differs", "The setting of 10 Mbps and 16 GB stands twice in table 2, with two answers for "
                   + ", ".join(f"{row['network']} ({row[_BANDWIDTH]} and {row[_STORAGE]} layers)"
                               for row in apart.to_dict("records"))
                   + "; table 3 has the second. No rule that depends on the setting alone can give both.")


def _storage_reading(lab: Lab, every: pd.DataFrame) -> Reading:
    storage = every[(every["varied"] == "storage")]
    whole = storage[storage["rule"] == "lmos"].groupby("network", sort=False)["memory_bytes"].max()
    smallest = storage["value"].min()
    printed = storage[storage["rule"] == "lmos"].pivot_table(index="value", columns="network", values="paper")
    spread = int((printed.max(axis=1) - printed.min(axis=1)).max())
    moved = storage[storage["rule"] != "paper"].groupby(["network", "rule"])["ours"].nunique().max() > 1
    return Reading("differs", f"The whole of each network fits the smallest storage, {smallest:g} GB: they use "
                   + ", ".join(f"{n_bytes / 1e6:.0f} MB ({name})" for name, n_bytes in whole.items())
                   + f". So the storage {'moves some rules' if moved else 'moves no rule'} here. The paper's cuts move with it, "
                     f"and differ by at most {spread} layers between networks whose sizes differ by a factor of "
                     f"{whole.max() / whole.min():.1f}: they cannot come from the sizes of these networks.")


def _doubling(lab: Lab) -> tuple[Reading, pd.DataFrame]:
    """The model of memory that table 2's storage half implies, put through the same fronts.

    `memory(n) = m * 2**(n / d)` GB for the first n layers of any network, m and d by least squares of log2 of the storage on the
    paper's layers: a model read off the very cells it is compared with.
    """
    printed = lab.paper("table2")
    printed = printed[printed["varied"] == "storage"].reset_index(drop=True)
    slope, start = np.polyfit(printed["edge_layers"].astype(float), np.log2(printed["value"].astype(float)), 1)
    cases = [({"network": line.network, "value": float(line.value)},
              _doubled(setting(lab, line.network, "storage", line.value), float(slope), float(start)))
             for line in rows(printed)]
    found = beside_paper(lab.choices(cases, ["lmos"]), printed["edge_layers"])
    off = found["difference"].abs()
    table: pd.DataFrame = found[["network", "value", "paper", "ours", "difference"]].rename(columns={"value": "storage (GB)"})
    return Reading("note", f"What would give the storage half: edge memory that doubles every {1 / slope:.2f} layers, "
                           f"{2**start:.2f} GB * 2**(n / {1 / slope:.2f}) after n layers of any network. With it the literal rule "
                           f"is {off.sum()} layers off over {len(off)} cells, {off.eq(0).sum()} met exactly. The two numbers are "
                           "fitted to these very cells; no network of the paper behaves so."), table


def _doubled(instance: Instance, slope: float, start: float) -> Instance:
    """The instance with weights that make its edge memory follow the model (outputs of a few MB are within the first GB)."""
    layers, before = [], instance.input_bytes
    for n, layer in enumerate(instance.layers, 1):
        after = int(1e9 * 2 ** (start + slope * n))
        layers.append({**layer.model_dump(), "weight_bytes": max(0, after - before - layer.output_bytes)})
        before = max(after, before + layer.output_bytes)
    return instance.replace(layers=layers)


EXPERIMENT = Experiment("table2", "Layers computed at the edge when bandwidth or storage vary", "table 2, section 5.3", _run)
