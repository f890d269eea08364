"""Edge memory, equation (5), to be used as far as it goes (the paper maximises it), under the chosen memory model."""

from __future__ import annotations

from lmos_opt.objectives import Objective, memory_granule

OBJECTIVE = Objective("memory", "B", "max", lambda m, inst: m.memory, lambda split: split.memory_bytes, memory_granule)
