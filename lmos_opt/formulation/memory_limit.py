"""The edge's memory limit M."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `memory <= M` (B); under `peak` the bytes of every step are bounded, which is the same and needs no maximum.

    Nothing without a limit.
    """
    if instance.memory_limit_bytes is None:
        return
    bounded = m.memory_floor.values() if hasattr(m, "memory_floor") else [m.memory]
    m.memory_limit = pyo.ConstraintList()
    for memory in bounded:
        m.memory_limit.add(memory <= instance.memory_limit_bytes)
