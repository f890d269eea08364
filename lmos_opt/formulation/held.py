"""`held[i]`: 1 if the edge holds the network's input i, because a layer there reads it."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import add_block
from lmos_opt.formulation.used import bind_to_any
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `held`: for an only input it is `used`; if several inputs may be held by many layers, each has a variable, `holding[i]`.
    """
    add_block(m, instance, "used")
    several = len(instance.inputs) > 1
    m.holding = pyo.Var([i for i, layers in instance.holders.items() if several and len(layers) > 1], bounds=(0, 1))
    m.holding_any = pyo.ConstraintList()
    for i in m.holding:
        bind_to_any(m, m.holding[i], instance.holders[i], m.holding_any)

    def held(m: Any, i: str) -> Any:
        layers = instance.holders[i]
        if not several:
            return m.used
        return m.holding[i] if i in m.holding else sum(m.upto[1, v] for v in layers)

    m.held = pyo.Expression(list(instance.inputs), rule=held)
