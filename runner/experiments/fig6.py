"""Figure 6: latency and memory when the edge's storage varies."""

from __future__ import annotations

from runner.experiments import Experiment, Result
from runner.reproduction.lab import Lab
from runner.reproduction.variation import draw, run


def _run(lab: Lab) -> Result:
    return run(lab, "storage", ("fig6-latency", "fig6-memory"))


EXPERIMENT = Experiment("fig6", "Impact of storage variation", "figure 6, section 5.3", _run, draw)
