"""Which tensors cross: `sent[u]` is 1 if u's output (or an input) has a consumer at the server, once however many."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `sent` for every input and layer, with `sent[u] >= edge[u] - edge[v]` on every arc; `edge` of an input is 1.

    The two upper bounds (only edge outputs cross, and only if some consumer is at the server) make `sent` exact at
    binary `edge`, whatever the sign of its weight in a user's objective.
    """
    tensors = instance.tensors
    m.sent = pyo.Var(tensors, bounds=(0, 1))

    def crossing(edge: frozenset[str]) -> list[float]:
        found = set(instance.crossing(edge))
        return [u in found for u in tensors]

    derive(m, [m.sent[u] for u in tensors], crossing)
    m.crossing = pyo.ConstraintList()
    for u in tensors:
        consumers = instance.consumers[u]
        at_edge = 1 if u in instance.inputs else m.edge[u]
        if len(consumers) == 1:
            m.crossing.add(m.sent[u] == at_edge - m.edge[consumers[0]])
            continue
        if not consumers:
            m.sent[u].setub(0)
            continue
        for v in consumers:
            m.crossing.add(m.sent[u] >= at_edge - m.edge[v])
        m.crossing.add(m.sent[u] <= at_edge)
        m.crossing.add(m.sent[u] <= sum(1 - m.edge[v] for v in consumers))
