"""End-to-end latency, equation (4): edge, transmission and server time; the result's way back is part of the transmission."""

from __future__ import annotations

from lmos_opt.formulation import stages
from lmos_opt.objectives import Objective

OBJECTIVE = Objective(
    "latency", "s", "min",
    lambda m, inst: stages.t_edge(m, inst) + stages.t_tx(m, inst) + stages.t_server(m, inst),
    lambda split: split.times.latency_s,
)  # fmt: skip
