"""Time at the last place, equation (3): the edge's owner pays for it."""

from __future__ import annotations

from lmos_opt.formulation.stages import place_time
from lmos_opt.objectives import Objective

OBJECTIVE = Objective("server_time", "s", "min", lambda m, inst: place_time(m, inst, len(inst.places)),
                      lambda split: split.times.t_server_s,
                      each=lambda splits: splits.listed(splits.place_time(len(splits.instance.places))), grows=True)  # fmt: skip
expression = OBJECTIVE.expression
