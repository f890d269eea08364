"""Figure 6: latency and memory when the edge's storage varies."""

from __future__ import annotations

from lmos.paper.making.experiment import Experiment, Result
from lmos.paper.making.lab import Lab
from lmos.paper.making.variation import draw, run


def _run(lab: Lab) -> Result:
    return run(lab, "storage", ("fig6-latency", "fig6-memory"))


EXPERIMENT = Experiment("fig6", "Impact of storage variation", "figure 6, section 5.3", _run, draw)
