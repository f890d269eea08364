"""Which tensors cross: `sent[u]` is 1 if u's output (or the image) has a consumer at the server, once however many."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.graph import INPUT
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `sent` for `input` and every layer, with `sent[u] >= edge[u] - edge[v]` on every arc and `edge[input]` = 1.

    The two upper bounds (only edge outputs cross, and only if some consumer is at the server) make `sent` exact at
    binary `edge`, whatever the sign of its weight in a user's objective.
    """
    tensors = [INPUT, *instance.names]
    m.sent = pyo.Var(tensors, bounds=(0, 1))

    def crossing(edge: frozenset[str]) -> list[float]:
        found = set(instance.crossing(edge))
        return [u in found for u in tensors]

    derive(m, [m.sent[u] for u in tensors], crossing)
    m.crossing = pyo.ConstraintList()
    for u in tensors:
        consumers = instance.consumers[u]
        at_edge = 1 if u == INPUT else m.edge[u]
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
