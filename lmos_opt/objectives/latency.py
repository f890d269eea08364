"""End-to-end latency, equation (4): all places and hops one after another; a hop includes the result's way back."""

from __future__ import annotations

from lmos_opt.formulation.stages import stages
from lmos_opt.listing.sums import total
from lmos_opt.objectives import Objective

OBJECTIVE = Objective("latency", "s", "min", lambda m, inst: sum(stages(m, inst)), lambda split: split.times.latency_s,
                      each=lambda splits: splits.listed(total(splits.stages)), grows=True)  # fmt: skip
expression = OBJECTIVE.expression
