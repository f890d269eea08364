"""Figure 2: the fraction of layers at the edge against bandwidth and storage."""

from __future__ import annotations

from lmos.paper.making.experiment import Experiment, Result
from lmos.paper.making.lab import Lab
from lmos.paper.making.sensitivity import draw, run


def _run(lab: Lab) -> Result:
    return run(lab, ("bandwidth", "edge_storage"), {"bandwidth": "fig2-bandwidth", "edge_storage": "fig2-storage"})


EXPERIMENT = Experiment("fig2", "Impact of varying bandwidth and edge storage", "figure 2, section 5.2", _run, draw)
