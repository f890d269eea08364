"""Table 4: VGG19 whole, MobileNetV2, and VGG19 with LMOS under every rule."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab, rows
from lmos.paper.making.rules import RULES
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.rules.baselines import cut
from lmos_opt.split import Split

WITHIN = 0.15
"""How near a prediction is asked to come."""
_WHOLE = {"VGG19 No Split": "vgg19", "MobileNetV2": "mobilenet_v2"}
_SPLIT = "VGG19 with LMOS"
_MODELS: tuple[MemoryModel, ...] = ("sum", "peak")


def _run(lab: Lab) -> Result:
    printed = {(line.configuration, line.quantity): float(line.value) for line in rows(lab.paper("table4"))}
    vgg19 = lab.instance("vgg19", memory="16GB")
    found = [_row(name, "", None, "accuracy", printed, None) for name in (*_WHOLE, _SPLIT)]
    for model in _MODELS:
        for name, network in _WHOLE.items():
            (line,) = lab.choices([({}, lab.instance(network))], ["ECO"], model).to_dict("records")
            found += _pair(name, model, "", line, printed)
        for line in lab.choices([({}, vgg19)], RULES, model).to_dict("records"):
            found += _pair(_SPLIT, model, line["rule"], line, printed)
    frame = pd.DataFrame(found).astype({"x1": "Int64"})
    cuts = _every_cut(vgg19, printed)
    return Result(frame, (Shown("Table 4 under each rule and memory model", frame),
                          Shown("The cuts of VGG19 that come nearest to both printed numbers", cuts.head(5))),
                  _readings(lab, frame, cuts, printed))


def _pair(name: str, model: str, rule: str, line: Any, printed: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    memory = None if pd.isna(line["memory_bytes"]) else float(line["memory_bytes"]) / 1e6
    latency = None if pd.isna(line["latency_s"]) else float(line["latency_s"])
    x1 = None if pd.isna(line["x1"]) else int(line["x1"])
    return [_row(name, model, x1, "latency", printed, latency, rule), _row(name, model, x1, "memory", printed, memory, rule)]


def _row(name: str, model: str, x1: int | None, quantity: str, printed: dict[tuple[str, str], float], ours: float | None,
         rule: str = "") -> dict[str, Any]:  # fmt: skip
    paper = printed[name, quantity]
    return {"configuration": name, "memory_model": model, "rule": rule, "x1": x1, "quantity": quantity,
            "unit": {"latency": "s", "memory": "MB", "accuracy": ""}[quantity], "paper": paper, "ours": ours,
            "difference_percent": None if ours is None else 100 * (ours / paper - 1)}  # fmt: skip


def _every_cut(vgg19: Instance, printed: dict[tuple[str, str], float]) -> pd.DataFrame:
    """Every cut of VGG19 under both memory models, by its larger relative distance to the printed latency and memory."""
    found = []
    for n in range(1, len(vgg19.layers) + 1):
        for model in _MODELS:
            split = Split(vgg19, frozenset(cut(vgg19, n)), model)
            latency, memory = split.times.latency_s, split.memory_bytes / 1e6
            off = [abs(value / printed[_SPLIT, what] - 1) for value, what in ((latency, "latency"), (memory, "memory"))]
            found.append({"x1": n, "last layer": vgg19.names[n - 1], "memory model": model, "latency (s)": latency,
                         "memory (MB)": memory, "latency off (%)": 100 * off[0], "memory off (%)": 100 * off[1],
                         "worse of the two (%)": 100 * max(off)})  # fmt: skip
    return pd.DataFrame(found).sort_values("worse of the two (%)", kind="stable").reset_index(drop=True)


def _readings(lab: Lab, frame: pd.DataFrame, cuts: pd.DataFrame, printed: dict[tuple[str, str], float]) -> tuple[Reading, ...]:
    whole = frame[frame["configuration"].isin(list(_WHOLE)) & frame["ours"].notna()]
    latency = whole[(whole["quantity"] == "latency") & (whole["memory_model"] == "sum")]
    memory = whole[whole["quantity"] == "memory"]
    near = bool((latency["difference_percent"].abs() <= 100 * WITHIN).all())
    split = frame[(frame["configuration"] == _SPLIT) & (frame["memory_model"] == "sum")]
    each = split[split["quantity"] == "latency"].merge(split[split["quantity"] == "memory"], on="rule", suffixes=("", "_memory"))
    table3 = lab.paper("table3").set_index(["approach", "network"])["edge_layers"]["LMOS", "vgg19"]
    best = cuts.iloc[0]
    there = frame[(frame["configuration"] == _SPLIT) & (frame["quantity"] == "latency") & (frame["x1"] == best["x1"])
                  & (frame["memory_model"] == best["memory model"])]["rule"]
    at_printed = cuts[(cuts["x1"] == table3) & (cuts["memory model"] == "sum")].iloc[0]
    mobile = float(memory[(memory["configuration"] == "MobileNetV2") & (memory["memory_model"] == "sum")]["ours"].iloc[0])
    gap = printed[_SPLIT, "latency"] - printed["MobileNetV2", "latency"]
    return (
        Reading("agrees" if near else "differs", "Latency of the whole networks: "
                + "; ".join(f"{line.configuration} {line.ours:.2f} s beside {line.paper:g} s ({line.difference_percent:+.1f} %)"
                            for line in rows(latency))
                + ". The edge device has two numbers fitted to these two, so they agree by construction."),
        Reading("differs" if (memory["difference_percent"].abs() > 100 * WITHIN).any() else "agrees",
                "Their memory, which nothing is fitted to: "
                + "; ".join(f"{line.configuration} {line.ours:.1f} MB ({line.memory_model}) beside {line.paper:g} MB "
                            f"({line.difference_percent:+.0f} %)" for line in rows(memory))
                + ". The paper does not say how it measured; MobileNetV2's weights alone are "
                  f"{sum(layer.weight_bytes for layer in lab.instance('mobilenet_v2').layers) / 1e6:.1f} MB."),
        Reading("differs", f"VGG19 with LMOS, {printed[_SPLIT, 'latency']:g} s and {printed[_SPLIT, 'memory']:g} MB in the paper: "
                + "; ".join(f"{line.rule} {line.ours:.2f} s, {line.ours_memory:.1f} MB" for line in rows(each)) + "."),
        Reading("note", f"Which cut could it be? After {best['last layer']} ({best['x1']} layers), counting memory as "
                        f"{best['memory model']}, VGG19 takes {best['latency (s)']:.2f} s and {best['memory (MB)']:.2f} MB here, "
                        f"both within {best['worse of the two (%)']:.1f} % of the paper; the rules {', '.join(there) or '(none)'} "
                        f"choose it. Table 3 says {table3} layers, for which this "
                        f"model gives {at_printed['latency (s)']:.2f} s and {at_printed['memory (MB)']:.1f} MB: the two tables do "
                        "not describe the same cut."),
        Reading("note", f"{lab.claim('table4-memory')} In its own numbers by "
                        f"{printed['MobileNetV2', 'memory'] - printed[_SPLIT, 'memory']:.2f} MB; counted here (sum), MobileNetV2 "
                        f"uses {mobile:.1f} MB, and VGG19 less than that with no more than {_most_layers(cuts, mobile)} layers. "
                        f"{lab.claim('table4-latency')} In its table it is {gap:.2f} s."),
        Reading("note", "Accuracy is not computed: the trained weights of these networks are not part of this package. Figure 4 "
                        "says what splitting does to it."),
    )


def _most_layers(cuts: pd.DataFrame, mega_bytes: float) -> int:
    below = cuts[(cuts["memory (MB)"] < mega_bytes) & (cuts["memory model"] == "sum")]["x1"]
    return int(below.max()) if len(below) else 0


EXPERIMENT = Experiment("table4", "VGG19 and an edge-optimised model", "table 4, section 5.5", _run)
