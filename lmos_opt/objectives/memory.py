"""Edge memory, equation (5), under the chosen memory model, maximised: the paper uses the edge's memory as far as it can."""

from __future__ import annotations

from lmos_opt.objectives import Objective, memory_granule

OBJECTIVE = Objective("memory", "B", "max", lambda m, inst: m.memory, lambda split: split.memory_bytes, memory_granule,
                      lambda splits: splits.memory(1))  # fmt: skip
expression = OBJECTIVE.expression
