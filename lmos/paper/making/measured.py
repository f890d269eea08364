"""What this machine measures beside what is computed: splits of the paper's networks through the real runner.

Edge and server are two processes of this machine, the link between them is held to the paper's bandwidth, and both devices are
`local`: predictions are made from this machine's own times, so measured and predicted can be compared. A Raspberry Pi is
slower, and is not emulated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from lmos.loopback import run_edge, server_process
from lmos.paper.making.lab import Lab, rows
from lmos_opt.api import pareto_front
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.baselines import baseline
from lmos_opt.sources import BANDWIDTH
from runner.machine import this_machine

if TYPE_CHECKING:
    import pandas as pd

PAPER_IMAGES = 100
SHORT_IMAGES = 3
_RESAMPLES = 2000
_TIMES = ("t_edge_s", "t_tx_s", "t_server_s", "latency_s")
_APPROACHES = ("lmos", "ideal", "slack:50", "min_latency", "ECO", "SCO", "RS:0")


@dataclass(frozen=True)
class Run:
    """A network cut by a rule (of selection, a baseline, or cut:N), run on some images."""

    network: str
    rule: str
    images: int


def _fig1(full: bool) -> list[Run]:
    if full:
        return [Run("vgg19", f"cut:{n}", PAPER_IMAGES) for n in range(45)]
    return [Run("alexnet", f"cut:{n}", SHORT_IMAGES) for n in (0, 10, 20)]


def _fig4(full: bool) -> list[Run]:
    cuts = range(67) if full else (0, 22, 44, 66)
    return [Run("squeezenet1_1", f"cut:{n}", PAPER_IMAGES if full else 5) for n in cuts]


def _fig5(full: bool) -> list[Run]:
    if full:
        return [Run(network, rule, PAPER_IMAGES) for network in ("alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2")
                for rule in ("lmos", "ideal", "slack:50")]
    return [Run("mobilenet_v2", "ideal", SHORT_IMAGES)]


def _fig7(full: bool) -> list[Run]:
    networks = ("alexnet", "vgg13", "vgg16", "vgg19") if full else ("alexnet",)
    return [Run(network, rule, PAPER_IMAGES if full else SHORT_IMAGES)
            for network in networks for rule in (_APPROACHES if full else ("ideal", "ECO", "SCO"))]


def _table4(full: bool) -> list[Run]:
    images = PAPER_IMAGES if full else SHORT_IMAGES
    found = [Run("mobilenet_v2", "ECO", images)]
    return [*found, *(Run("vgg19", rule, images) for rule in ("ECO", "lmos", "ideal", "slack:50"))] if full else found


RUNS: dict[str, Callable[[bool], list[Run]]] = {"fig1": _fig1, "fig4": _fig4, "fig5": _fig5, "fig7": _fig7, "table4": _table4}
"""What is run for an experiment: all that the paper measured, or a short part of it."""


def measure(lab: Lab, experiment: str, full: bool) -> pd.DataFrame | None:
    """A row for every run and stage: predicted, measured mean and its interval, error; None for an experiment without runs.

    Each run is kept in the lab's cache, so one that was interrupted goes on.
    """
    import pandas as pd

    if experiment not in RUNS:
        return None
    asked = RUNS[experiment](full)
    found: list[dict[str, Any]] = []
    for done, run in enumerate(asked):
        lab.on_step(done, len(asked))
        found += _measured(lab, run)
    frame = pd.DataFrame(found)
    whole = frame.loc[frame["x2"] == 0].drop_duplicates("network").set_index("network")["classes"]
    frame["changed_classes"] = [_changed(row.classes, whole.get(row.network)) for row in rows(frame)]
    return frame.drop(columns="classes").astype({"changed_classes": "Int64"})


def _changed(classes: list[int], whole: Any) -> int | None:
    """How many images have another class than where the whole network ran at the edge."""
    return None if whole is None else sum(a != b for a, b in zip(classes, whole, strict=True))


def _measured(lab: Lab, run: Run) -> list[dict[str, Any]]:
    machine = this_machine(1)
    here = {"cpu": machine.cpu, "cores": machine.cores, "versions": dict(machine.versions)}
    path = lab.data("profiles", f"{run.network}.json")
    times = lab.kept("times", {"network": run.network, "machine": here}, lambda: _timed(path))
    profile = NetworkProfile.from_dict(times)
    instance = Instance.from_profile(profile, edge="local", server="local", bandwidth=BANDWIDTH)
    plan = _plan(instance, profile, run.rule)
    report = lab.kept("run", {"plan": plan.to_dict(), "images": run.images, "machine": here}, lambda: _run(plan, run.images))
    classes = [image["class"] for image in report["per_image"]]
    return [_row(run, plan, stage, float(plan.predicted[stage]), [image[stage] for image in report["per_image"]],
                 lab.seed, report["lost"], classes) for stage in _TIMES]  # fmt: skip


def _row(run: Run, plan: Plan, stage: str, predicted: float, times: list[float], seed: int, lost: int,
         classes: list[int]) -> dict[str, Any]:  # fmt: skip
    mean = float(np.mean(times))
    low, high = _interval(times, seed)
    return {"network": run.network, "rule": run.rule, "x1": plan.x1, "x2": plan.x2, "images": len(times), "lost": lost,
            "stage": stage.removesuffix("_s"), "predicted_s": predicted, "measured_s": mean, "low_s": low, "high_s": high,
            "error_percent": 100 * (predicted / mean - 1) if predicted and mean else None, "classes": classes}  # fmt: skip


def _interval(times: list[float], seed: int) -> tuple[float, float]:
    """The mean's 95 % interval, by resampling (bootstrap percentiles)."""
    drawn = np.random.default_rng(seed).choice(times, (_RESAMPLES, len(times))).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def _timed(path: Path) -> dict[str, Any]:
    from lmos.profiles import time_profile

    return time_profile(NetworkProfile.load(path), None).to_dict()


def _plan(instance: Instance, profile: NetworkProfile, rule: str) -> Plan:
    split = baseline(instance, rule)
    edge_layers = split.edge_layers if split else pareto_front(instance).select(rule).edge_layers or ()
    setting = Setting.of(instance, edge="local", server="local", rule=rule)
    return make_plan(instance, edge_layers, setting=setting, profile=profile)


def _run(plan: Plan, images: int) -> dict[str, Any]:
    """The report of a run, less the plan."""
    from lmos_opt.files import read_json

    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in ("plan.json", "report.json", "server.log")}
        plan.save(files["plan.json"])
        with server_process(files["server.log"]) as address:
            run_edge(files["plan.json"], address, images, BANDWIDTH, files["report.json"])
        report: dict[str, Any] = read_json(files["report.json"])
    return {"per_image": report["per_image"], "lost": report["lost"], "environment": report["environment"]}
