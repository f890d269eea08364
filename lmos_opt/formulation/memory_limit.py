"""The places' memory limits."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import add_block
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `memory <= M` (B) for every place that has a limit; under `peak` the bytes of every step are bounded, which is the same
    and needs no maximum."""
    if any(place.memory_limit_bytes is not None for place in instance.places[1:]):
        add_block(m, instance, "later_limits")
    if instance.memory_limit_bytes is None:
        return
    bounded = m.memory_floor.values() if hasattr(m, "memory_floor") else [m.memory]
    m.memory_limit = pyo.ConstraintList()
    for memory in bounded:
        m.memory_limit.add(memory <= instance.memory_limit_bytes)
