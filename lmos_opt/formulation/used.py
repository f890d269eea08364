"""`used`: 1 if any layer runs at the edge (x1 >= 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `used`. By precedence the first edge layer reads only inputs, so those layers alone decide."""
    first = [layer.name for layer in instance.layers if instance.inputs.keys() >= set(layer.inputs)]
    if len(first) == 1:
        m.used = pyo.Expression(expr=m.upto[1, first[0]])
        return
    m.used = pyo.Var(bounds=(0, 1))
    m.using = pyo.ConstraintList()
    bind_to_any(m, m.used, first, m.using)


def bind_to_any(m: Any, variable: Any, layers: Sequence[str], rows: Any) -> None:
    """Add rows that make a variable 1 if any of the layers runs at the edge, and 0 if none does."""
    derive(m, [variable], lambda split: [any(v in split.upto[0] for v in layers)])
    for v in layers:
        rows.add(variable >= m.upto[1, v])
    rows.add(variable <= sum(m.upto[1, v] for v in layers))
