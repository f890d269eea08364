"""Time at the first place, equation (1): how long the edge's own processor is busy."""

from __future__ import annotations

from lmos_opt.formulation.stages import place_time
from lmos_opt.objectives import Objective

OBJECTIVE = Objective("edge_time", "s", "min", lambda m, inst: place_time(m, inst, 1), lambda split: split.times.t_edge_s,
                      each=lambda splits: splits.listed(splits.place_time(1)), grows=True)  # fmt: skip
expression = OBJECTIVE.expression
