"""Edge memory, equation (5), minimised: the owner of a small device wants to save memory."""

from __future__ import annotations

from typing import Any

from lmos_opt.formulation import add_block
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective, memory_granule


def _expression(m: Any, instance: Instance) -> Any:
    """The edge memory, held from below: under `peak` by what is alive at every step."""
    add_block(m, instance, "peak_exact")
    return m.memory


OBJECTIVE = Objective("footprint", "B", "min", _expression, lambda split: split.memory_bytes, memory_granule)
