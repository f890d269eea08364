"""`used`: 1 if any layer runs at the edge (x1 >= 1), which is when the image takes memory there."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `used`. By precedence the first edge layer reads only the image, so those layers alone decide."""
    first = [layer.name for layer in instance.layers if not set(layer.inputs) - {"input"}]
    if len(first) == 1:
        m.used = pyo.Expression(expr=m.edge[first[0]])
        return
    m.used = pyo.Var(bounds=(0, 1))
    derive(m, [m.used], lambda edge: [bool(edge)])
    m.using = pyo.ConstraintList()
    for v in first:
        m.using.add(m.used >= m.edge[v])
    m.using.add(m.used <= sum(m.edge[v] for v in first))
