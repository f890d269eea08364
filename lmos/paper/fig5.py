"""Figure 5: latency and memory when the bandwidth varies."""

from __future__ import annotations

from lmos.paper.making.experiment import Experiment, Result
from lmos.paper.making.lab import Lab
from lmos.paper.making.variation import draw, run


def _run(lab: Lab) -> Result:
    return run(lab, "bandwidth", ("fig5-latency", "fig5-memory"))


EXPERIMENT = Experiment("fig5", "Impact of bandwidth variation", "figure 5, section 5.3", _run, draw)
