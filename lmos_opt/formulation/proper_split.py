"""A proper split: at least one layer at either side."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `1 <= x1 <= L - 1`; two rows, since the interval is empty for a single layer."""
    x1 = sum(m.upto[1, v] for v in m.layers)
    m.proper_split = pyo.ConstraintList()
    m.proper_split.add(x1 >= 1)
    m.proper_split.add(x1 <= len(instance.layers) - 1)
