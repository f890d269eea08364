"""`memory` of the model `peak` bounded from below by every step: for users' objectives that want it small."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `memory >= bytes alive at v` for every v; nothing under `sum`, where `memory` is exact as it is."""
    if hasattr(m, "memory_floor"):
        m.peak_exact = pyo.Constraint(m.layers, rule=lambda m, v: m.memory >= m.memory_floor[v])
