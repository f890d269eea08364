"""Weights that a layer shares with earlier ones: they count again at a place that runs it and none of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from lmos_opt.formulation import Solution, derive
from lmos_opt.formulation.memory import shared_weights

if TYPE_CHECKING:
    from lmos_opt.instance import Instance


def copies(m: Any, instance: Instance, p: int) -> Any:
    """The bytes (B) of copies at place p: for each shared weights of a layer v, a variable that is 1 if v runs there and no earlier
    layer that has them does.

    The variables `copied_p[k]` are added to the model where they do not stand there yet. They are held from both sides.
    """
    shared = shared_weights(instance, p)
    if not shared:
        return 0
    if not hasattr(m, f"copied_{p}"):
        copied, copying = pyo.Var(range(len(shared)), bounds=(0, 1)), pyo.ConstraintList()
        m.add_component(f"copied_{p}", copied)
        m.add_component(f"copying_{p}", copying)
        for k, (v, weights) in enumerate(shared):
            copying.add(copied[k] >= m.at[p, v] - sum(m.at[p, u] for u in weights.layers))
            copying.add(copied[k] <= m.at[p, v])
            for u in weights.layers:
                copying.add(copied[k] <= 1 - m.at[p, u])

        def values(split: Solution) -> list[float]:
            here = (*split.upto, frozenset(instance.names))[p - 1] - (split.upto[p - 2] if p > 1 else frozenset())
            return [v in here and here.isdisjoint(weights.layers) for v, weights in shared]

        derive(m, [copied[k] for k in range(len(shared))], values)
    return sum(weights.bytes * getattr(m, f"copied_{p}")[k] for k, (_, weights) in enumerate(shared))
