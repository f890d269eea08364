"""Table 1: the parameters of the sensitivity analysis, and what figures 2 and 3 run over here."""

from __future__ import annotations

import pandas as pd

from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab
from lmos.paper.making.sensitivity import VALUES

_DEVICES = {"edge": ("rpi4-table1", "rpi4"), "server": ("paper-server-table1", "paper-server")}
"""The devices of table 1, and those that the paper's text describes."""

_TABLE, _TEXT = "paper, table 1", "paper, sections 3.1 and 5.1"


def _run(lab: Lab) -> Result:
    printed = lab.paper("table1")
    rows, devices = [], []
    for _, line in printed.iterrows():
        parameter = line["parameter"]
        ours = {"least": min(VALUES[parameter]), "most": max(VALUES[parameter]), "default": line["default"]}
        side, _, quantity = parameter.partition("_")
        if quantity in ("cores", "clock"):
            table, text = (_number(lab, name, quantity) for name in _DEVICES[side])
            ours["default"] = table
            devices.append({"parameter": parameter, "unit": line["unit"], _TABLE: line["default"],
                            _TEXT: text})
        rows += [{"parameter": parameter, "unit": line["unit"], "quantity": what, "paper": float(line[what]),
                  "ours": float(ours[what])} for what in ("least", "most", "default")]
    frame = pd.DataFrame(rows)
    two = pd.DataFrame(devices)
    apart = two[two[_TABLE] != two[_TEXT]]
    same = bool((frame["paper"] == frame["ours"]).all())
    return Result(frame, (Shown("Table 1", frame), Shown("One device, described twice", two)), (
        Reading("agrees" if same else "differs", "Figures 2 and 3 run over the whole of every range, with table 1's defaults."
                if same else "Figures 2 and 3 do not run over what table 1 prints."),
        Reading("differs" if len(apart) else "agrees",
                "The paper's text describes other machines than its table 1's defaults: "
                + "; ".join(f"{row['parameter'].replace('_', ' ')} {row[_TABLE]:g} in the table, {row[_TEXT]:g} in the text"
                            for row in apart.to_dict("records"))
                + ". Table 1's stand in figures 2 and 3, the text's in all other experiments."),
    ))  # fmt: skip


def _number(lab: Lab, device: str, quantity: str) -> float:
    found = lab.device(device)
    return float(found.cores if quantity == "cores" else found.hz / 1e9)


EXPERIMENT = Experiment("table1", "Parameters of the sensitivity analysis", "table 1, section 5.2", _run)
