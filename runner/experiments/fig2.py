"""Figure 2: the fraction of layers at the edge against bandwidth and storage."""

from __future__ import annotations

from runner.experiments import Experiment, Result
from runner.reproduction.lab import Lab
from runner.reproduction.sensitivity import draw, run


def _run(lab: Lab) -> Result:
    return run(lab, ("bandwidth", "edge_storage"), {"bandwidth": "fig2-bandwidth", "edge_storage": "fig2-storage"})


EXPERIMENT = Experiment("fig2", "Impact of varying bandwidth and edge storage", "figure 2, section 5.2", _run, draw)
