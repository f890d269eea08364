"""Where each layer runs: `upto[h, v]` binary, precedence along every arc, `offload[h]` if anything runs beyond hop h."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.formulation.indices import AtPlace, ByHop, OneHop, OneHopNames
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `layers`, `upto`, `at`, `offload` and precedence: nothing flows back except the result. With one hop, `upto` is `edge`.

    By precedence a layer without consumers runs before a hop only if all layers before it do, so `offload` needs only the rows of
    those layers. The upper bound makes it exact for any sign of its weight in a user's objective.
    """
    hops = range(1, len(instance.hops) + 1)
    m.layers = pyo.Set(initialize=instance.names, ordered=True)
    if len(hops) == 1:
        m.edge = OneHopNames(m.layers, domain=pyo.Binary)
        m.upto = ByHop(m.edge)
        m.offload = OneHop(bounds=(0, 1))
    else:
        m.upto = pyo.Var(hops, m.layers, domain=pyo.Binary)
        m.offload = pyo.Var(hops, bounds=(0, 1))
    m.at = AtPlace(m, instance)
    derive(m, [m.offload[h] for h in hops], lambda split: [len(before) < len(instance.layers) for before in split.upto])
    m.precedence = pyo.ConstraintList()
    m.offloading = pyo.ConstraintList()
    last = [name for name in instance.names if not instance.consumers[name]]
    for h in hops:
        for u, v in instance.arcs:
            if u not in instance.inputs:
                m.precedence.add(m.upto[h, u] >= m.upto[h, v])
        for v in last:
            m.offloading.add(m.offload[h] >= 1 - m.upto[h, v])
        m.offloading.add(m.offload[h] <= sum(1 - m.upto[h, v] for v in last))
    if len(hops) > 1:
        m.nesting = pyo.Constraint(hops, m.layers, rule=lambda m, h, v: m.upto[h, v] <= m.upto[h + 1, v] if h < len(hops)
                                   else pyo.Constraint.Skip)  # fmt: skip
    if instance.groups:
        m.together = pyo.ConstraintList()
        for group in instance.groups:
            first, *rest = [name for name in instance.names if name in group]
            for h in hops:
                for v in rest:
                    m.together.add(m.upto[h, first] == m.upto[h, v])
