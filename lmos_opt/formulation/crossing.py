"""Which tensors cross: `sent[h, u]` is 1 if u's output (or an input) has a consumer beyond hop h, once for all consumers."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import Solution, derive
from lmos_opt.formulation.indices import OneHopNames
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `sent` for every hop and every input and layer, with `sent[h, u] >= upto[h, u] - upto[h, v]` on every arc; `upto` of an
    input is 1. A tensor that is read at a later place crosses all hops between: it is relayed.

    The two upper bounds (a tensor crosses a hop only if it is made before it, and only if some consumer is beyond) make `sent`
    exact at binary `upto`, for any sign of its weight in a user's objective.
    """
    hops, tensors = range(1, len(instance.hops) + 1), instance.tensors
    m.sent = OneHopNames(tensors, bounds=(0, 1)) if len(hops) == 1 else pyo.Var(hops, tensors, bounds=(0, 1))

    def crossing(split: Solution) -> list[float]:
        found = [set(instance.crossing(before)) for before in split.upto]
        return [u in found[h - 1] for h in hops for u in tensors]

    derive(m, [m.sent[h, u] for h in hops for u in tensors], crossing)
    m.crossing = pyo.ConstraintList()
    for h in hops:
        for u in tensors:
            _bind(m, h, u, instance)


def _bind(m: Any, h: int, u: str, instance: Instance) -> None:
    consumers, sent = instance.consumers[u], m.sent[h, u]
    before = 1 if u in instance.inputs else m.upto[h, u]
    if len(consumers) == 1:
        m.crossing.add(sent == before - m.upto[h, consumers[0]])
        return
    if not consumers:
        sent.setub(0)
        return
    for v in consumers:
        m.crossing.add(sent >= before - m.upto[h, v])
    m.crossing.add(sent <= before)
    m.crossing.add(sent <= sum(1 - m.upto[h, v] for v in consumers))
