"""The cells of table 2: the settings that its bandwidths and storages make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos.paper.making.lab import Lab, rows
from lmos.paper.making.rules import RULES, beside_paper
from lmos_opt.instance import Instance

if TYPE_CHECKING:
    import pandas as pd

STORAGE = "16GB"
"""Of the module whose bandwidth is varied (section 5.3)."""


def cells(lab: Lab) -> pd.DataFrame:
    """Every cell of table 2 under every rule and as the paper prints it (rule `paper`); columns as the CSV's."""
    import pandas as pd

    printed = lab.paper("table2")
    cases = [({"network": line.network, "varied": line.varied, "value": float(line.value), "unit": line.unit},
              setting(lab, line.network, line.varied, line.value)) for line in rows(printed)]
    layers = pd.Series([len(instance.layers) for _, instance in cases])
    found = lab.choices(cases, RULES)
    same_cut = pd.concat([lab.choices([case], [f"cut:{n}"]).assign(rule="paper", instance=k)
                          for k, (case, n) in enumerate(zip(cases, printed["edge_layers"], strict=True))])
    found = pd.concat([found, same_cut], ignore_index=True)
    found["layers"] = found["instance"].map(layers)
    return beside_paper(found, printed["edge_layers"])


def setting(lab: Lab, network: str, varied: str, value: float) -> Instance:
    """A network in the setting of one of table 2's cells."""
    if varied == "bandwidth":
        return lab.instance(network, bandwidth=f"{value}Mbps", memory=STORAGE)
    return lab.instance(network, memory=f"{value}GB")
