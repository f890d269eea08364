"""Figure 3: the fraction of layers at the edge against clocks and cores at either side."""

from __future__ import annotations

from lmos.paper.making.experiment import Experiment, Result
from lmos.paper.making.lab import Lab
from lmos.paper.making.sensitivity import draw, run

_PARAMETERS = ("edge_clock", "server_clock", "edge_cores", "server_cores")


def _run(lab: Lab) -> Result:
    return run(lab, _PARAMETERS, {name: f"fig3-{name.partition('_')[0]}" for name in _PARAMETERS})


EXPERIMENT = Experiment("fig3", "Impact of varying edge and server CPU speed", "figure 3, section 5.2", _run, draw)
