"""Time at the edge, equation (1): what the edge's own processor is kept busy for."""

from __future__ import annotations

from lmos_opt.formulation import stages
from lmos_opt.objectives import Objective

OBJECTIVE = Objective("edge_time", "s", "min", stages.t_edge, lambda split: split.times.t_edge_s)
