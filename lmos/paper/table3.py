"""Table 3: LMOS under every rule, and the approaches that it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab, rows
from lmos.paper.making.rules import RULES, nearest
from lmos_opt.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORKS = ("alexnet", "vgg13", "vgg16", "vgg19")
TRIALS = 100
"""Of the random approach: as many as the paper has images."""
_PLAIN = {"LOA": "min_latency", "ECO": "ECO", "SCO": "SCO", "Neurosurgeon": "Neurosurgeon", "DADS": "DADS"}
_COLUMNS = ["approach", "network", "rule", "paper", "ours", "difference", "ours_sd", "latency_s", "latency_sd",
            "memory_bytes", "memory_sd", "trials", "reason"]  # fmt: skip


def approaches(lab: Lab) -> pd.DataFrame:
    """Every approach on every network at 10 Mbps and 16 GB: layers, latency, memory; means and standard deviations of RS."""
    instances = {network: lab.instance(network, memory="16GB") for network in NETWORKS}
    printed = lab.paper("table3").set_index(["approach", "network"])["edge_layers"]
    parts = [_single(lab, "LMOS", rule, instances) for rule in RULES]
    parts += [_single(lab, approach, rule, instances) for approach, rule in _PLAIN.items()]
    parts.append(_random(lab, instances))
    n_bytes = int(lab.csv("pictures", "jpeg224.csv")["bytes"].mean())
    small = {network: instance.replace(input_bytes=n_bytes) for network, instance in instances.items()}
    for approach, rule in (("SCO, JPEG", "SCO"), ("Neurosurgeon, JPEG", "Neurosurgeon")):
        parts.append(_without_image(_single(lab, approach, rule, small), instances, n_bytes))
    found = pd.concat(parts, ignore_index=True)
    found["paper"] = [printed.get((line.approach, line.network)) for line in rows(found)]
    found["paper"] = found["paper"].astype("Int64")
    found["difference"] = found["ours"] - found["paper"]
    return found[_COLUMNS]


def _single(lab: Lab, approach: str, rule: str, instances: dict[str, Instance]) -> pd.DataFrame:
    found = lab.choices([({"network": network}, instance) for network, instance in instances.items()], [rule])
    spread = {"trials": 1, "ours_sd": 0.0, "latency_sd": 0.0, "memory_sd": 0.0}
    return found.assign(approach=approach, ours=found["x1"].astype("Float64"), **spread).astype({"memory_bytes": "Float64"})


def _without_image(found: pd.DataFrame, instances: dict[str, Instance], n_bytes: int) -> pd.DataFrame:
    """The JPEG is what crosses; once it is decoded, the edge's image is as large as before."""
    rest = [instances[line.network].input_bytes - n_bytes if line.ours else 0 for line in rows(found)]
    return found.assign(memory_bytes=found["memory_bytes"] + pd.array(rest, dtype="Float64"))


def _random(lab: Lab, instances: dict[str, Instance]) -> pd.DataFrame:
    trials = lab.choices([({"network": network}, instance) for network, instance in instances.items()],
                         [f"RS:{lab.seed + k}" for k in range(TRIALS)])
    found = []
    for network, part in trials.groupby("network", sort=False):
        x1, latency, memory = (part[name].astype(float) for name in ("x1", "latency_s", "memory_bytes"))
        found.append({"approach": "RS", "network": network, "rule": f"RS:{lab.seed} to RS:{lab.seed + TRIALS - 1}",
                     "trials": len(part), "ours": x1.mean(), "ours_sd": x1.std(), "latency_s": latency.mean(),
                     "latency_sd": latency.std(), "memory_bytes": memory.mean(), "memory_sd": memory.std()})  # fmt: skip
    return pd.DataFrame(found)


def _run(lab: Lab) -> Result:
    frame = approaches(lab)
    layers = {network: len(lab.instance(network).layers) for network in NETWORKS}
    compared = frame[frame["approach"] == "LMOS"].assign(layers=lambda part: part["network"].map(layers))
    ranking = nearest(compared)
    wide = _wide(frame)
    loa, eco = (frame[frame["approach"] == name] for name in ("LOA", "ECO"))
    best = ranking.iloc[0]
    same = frame[frame["approach"].isin(["LOA", "Neurosurgeon", "DADS"])].groupby("network")["ours"].nunique().max() == 1
    apart = ", ".join(f"{line.network} {line.paper} there, {line.ours:.0f} here" for line in rows(loa)
                      if line.difference != 0)
    readings = (
        Reading("differs", f"The nearest rule to the paper's LMOS row is {best['rule']}: {best['layers_off']} layers off over "
                           f"{best['cells']} networks."),
        Reading("agrees" if eco["difference"].eq(0).all() else "differs",
                "ECO runs every layer at the edge: the counts are the networks' own."),
        Reading("differs" if apart else "agrees", f"LOA, the least latency: {apart or 'as printed'}. The server is faster than the "
                "edge in every layer here and the first layers put out more than the image holds, so a cut behind the first "
                "layers never pays; the paper's measured times are not printed, so they cannot be put in instead."),
        Reading("note", f"Neurosurgeon, DADS and LOA {'choose the same cut' if same else 'do not choose the same cut'} on these "
                        "chains: all three are exact, and find it by enumeration, by a minimum cut and on the front."),
    )
    return Result(frame, (Shown("Layers at the edge by approach (LMOS under each rule)", wide),
                          Shown("Which rule comes nearest to the paper's LMOS", ranking)), readings)


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each approach and rule, a column for each network: `paper / ours`."""
    def cell(line: pd.Series) -> str:
        spread = f" ± {line['ours_sd']:.1f}" if line["trials"] > 1 else ""
        ours = "no split" if pd.isna(line["ours"]) else f"{line['ours']:.1f}{spread}" if spread else f"{line['ours']:.0f}"
        return ours if pd.isna(line["paper"]) else f"{line['paper']} / {ours}"

    texts = frame.assign(cell=frame.apply(cell, axis=1), rule=frame["rule"].where(frame["approach"] == "LMOS", ""))
    wide = texts.pivot_table(index=["approach", "rule"], columns="network", values="cell", sort=False, aggfunc="first")
    found: pd.DataFrame = wide[_present(wide.columns)].reset_index()
    found.columns = ["approach", "rule", *(f"{name}: paper / ours" for name in found.columns[2:])]
    return found


def _present(columns: pd.Index[str]) -> Sequence[str]:
    return [name for name in NETWORKS if name in columns]


EXPERIMENT = Experiment("table3", "Layers at the edge of competing approaches", "table 3, section 5.4", _run)
