"""Weights that a layer shares with an earlier one: they count again where the two run at different places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from lmos_opt.formulation import Solution, derive
from lmos_opt.formulation.memory import shared_pairs

if TYPE_CHECKING:
    from lmos_opt.instance import Instance


def copies(m: Any, instance: Instance, p: int) -> Any:
    """The bytes (B) of copies at place p: of a variable `copied_p[v, u]` for each pair, 1 if v runs there and u does not.

    The variables are added to the model where they do not stand there yet. They are held from both sides.
    """
    shared = shared_pairs(instance, p)
    if not shared:
        return 0
    if not hasattr(m, f"copied_{p}"):
        copied, copying = pyo.Var([*shared], bounds=(0, 1)), pyo.ConstraintList()
        m.add_component(f"copied_{p}", copied)
        m.add_component(f"copying_{p}", copying)
        for v, u in shared:
            copying.add(copied[v, u] >= m.at[p, v] - m.at[p, u])
            copying.add(copied[v, u] <= m.at[p, v])
            copying.add(copied[v, u] <= 1 - m.at[p, u])

        def values(split: Solution) -> list[float]:
            here = (*split.upto, frozenset(instance.names))[p - 1] - (split.upto[p - 2] if p > 1 else frozenset())
            return [v in here and u not in here for v, u in shared]

        derive(m, [copied[pair] for pair in shared], values)
    return sum(n_bytes * getattr(m, f"copied_{p}")[pair] for pair, n_bytes in shared.items())
