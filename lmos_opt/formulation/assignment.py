"""Where each layer runs: `edge[v]` binary, precedence along every arc, `offload` if anything runs at the server."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `layers`, `edge`, `offload` and precedence: nothing flows back to the edge except the result.

    By precedence a layer without consumers is at the edge only if all before it are, so `offload` need look at those
    alone; the upper bound makes it exact whatever the sign of its weight in a user's objective.
    """
    m.layers = pyo.Set(initialize=instance.names, ordered=True)
    m.edge = pyo.Var(m.layers, domain=pyo.Binary)
    m.offload = pyo.Var(bounds=(0, 1))
    derive(m, [m.offload], lambda edge: [len(edge) < len(instance.layers)])
    m.precedence = pyo.ConstraintList()
    for u, v in instance.arcs:
        if u not in instance.inputs:
            m.precedence.add(m.edge[u] >= m.edge[v])
    last = [name for name in instance.names if not instance.consumers[name]]
    m.offloading = pyo.ConstraintList()
    for v in last:
        m.offloading.add(m.offload >= 1 - m.edge[v])
    m.offloading.add(m.offload <= sum(1 - m.edge[v] for v in last))
