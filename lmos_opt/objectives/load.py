"""The largest load of a place (s): the time of its layers, and of every tensor that it receives or sends, each once, through its
port.

Sending does not overlap with computing and nothing is relayed; inputs and results cost nothing. Without `port_bytes_per_s` tensors
take no time. J. Tarnawski et al., "Efficient Algorithms for Device Placement of DNN Graph Operators", NeurIPS 2020.
"""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np
import pyomo.environ as pyo

from lmos_opt.formulation import derive, fresh
from lmos_opt.instance import Instance
from lmos_opt.listing.splits import EPSILON, Listed, Splits
from lmos_opt.objectives import Objective
from lmos_opt.split import Split


def _port_s(instance: Instance) -> dict[str, float]:
    """The time (s) of each layer's output through a port, of those that have readers and take any."""
    rate = instance.port_bytes_per_s
    return {} if rate is None else {v: instance.tensor_bytes(v) / rate for v in instance.names
                                    if instance.consumers[v] and instance.tensor_bytes(v)}  # fmt: skip


def _expression(m: Any, instance: Instance) -> Any:
    """A variable that no place's load exceeds; minimised or bounded from above, it is the largest of them."""
    port_s, places = _port_s(instance), range(1, len(instance.places) + 1)
    moved = fresh(m, "moved", pyo.Var(places, list(port_s), bounds=(0, 1)))
    derive(m, [moved[p, u] for p in places for u in port_s],
           lambda split: [u in those for those in _moved(instance, split.upto) for u in port_s])
    heaviest = fresh(m, "heaviest", pyo.Var(bounds=(0, _most(instance, port_s))))
    moving, loads = fresh(m, "moving", pyo.ConstraintList()), fresh(m, "loads", pyo.ConstraintList())
    for p in places:
        for u in port_s:
            for v in instance.consumers[u]:
                for move in _moves(m, p, u, v, len(places)):
                    moving.add(moved[p, u] >= move)
        layers = sum(layer.t_s[p - 1] * m.at[p, layer.name] for layer in instance.layers)
        loads.add(heaviest >= layers + sum(seconds * moved[p, u] for u, seconds in port_s.items()))
    derive(m, [heaviest], lambda split: [_value(Split.of(instance, split.upto))], is_least=True)
    return heaviest


def _most(instance: Instance, port_s: dict[str, float]) -> float:
    """No load is larger: every layer at its slowest place, and every tensor."""
    return sum(max(layer.t_s) for layer in instance.layers) + sum(port_s.values()) + 1e-6


def _moves(m: Any, p: int, u: str, v: str, last: int) -> list[Any]:
    """What is 1 where place p sends u, or receives it, since v reads it elsewhere, and else not above 0."""
    sends = [m.at[p, u] - m.upto[p, v]] if p < last else []
    receives = [m.at[p, v] - (1 - m.upto[p - 1, u])] if p > 1 else []
    return [*sends, *receives]


def _moved(instance: Instance, upto: tuple[frozenset[str], ...]) -> list[set[str]]:
    """For each place the layers whose outputs it sends or receives."""
    place = {v: sum(v not in before for before in upto) for v in instance.names}
    found: list[set[str]] = [set() for _ in instance.places]
    for u, v in instance.arcs:
        if u not in instance.inputs and place[u] != place[v]:
            found[place[u]].add(u)
            found[place[v]].add(u)
    return found


def _value(split: Split) -> float:
    instance, port_s = split.instance, _port_s(split.instance)
    moved = _moved(instance, split.upto)
    return max(fsum([*(instance.layer(v).t_s[p] for v in layers), *(port_s.get(u, 0.0) for u in moved[p])])
               for p, layers in enumerate(split.places))


def _each(splits: Splits) -> Listed:
    instance, port_s, loads = splits.instance, _port_s(splits.instance), []
    for p in range(1, len(instance.places) + 1):
        layers = splits.listed(splits.layers_time(p))
        moved = sum((seconds * splits.moves(p, u) for u, seconds in port_s.items()), start=np.zeros(len(splits)))
        loads.append(Listed(layers.values + moved, layers.off + 4 * len(port_s) * EPSILON * sum(port_s.values()), 0.0))
    return Listed(np.max([one.values for one in loads], axis=0), max(one.off for one in loads), _most(instance, port_s))


OBJECTIVE = Objective("load", "s", "min", _expression, _value, each=_each, grows=True)
expression = OBJECTIVE.expression
