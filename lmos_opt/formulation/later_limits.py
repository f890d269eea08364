"""The memory limits of the places after the first, under either memory model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.instance import Instance

Alive = tuple[int, str, str]
"""A place, the layer that runs there, and a tensor that may be alive meanwhile."""


@dataclass(frozen=True)
class _Order:
    """Where in the order each tensor is made (inputs before all), and where it is read."""

    made: dict[str, int]
    read: dict[str, list[int]]

    @classmethod
    def of(cls, instance: Instance) -> _Order:
        made = {**dict.fromkeys(instance.inputs, -1), **{name: k for k, name in enumerate(instance.names)}}
        return cls(made, {a: [made[v] for v in instance.consumers[a]] for a in made})


def add(m: Any, instance: Instance) -> None:
    """Add `memory <= M` (B) for every place after the first that has a limit."""
    limits = {p: place.memory_limit_bytes for p, place in enumerate(instance.places, 1)
              if p > 1 and place.memory_limit_bytes is not None}
    m.later_limits = pyo.ConstraintList()
    if not hasattr(m, "memory_floor"):
        for p, limit in limits.items():
            m.later_limits.add(_sum(m, instance, p) <= limit)
        return
    order = _Order.of(instance)
    _add_received(m, instance, [*limits], order)
    for p, limit in limits.items():
        weights = sum(layer.weight_bytes * m.at[p, layer.name] for layer in instance.layers)
        for k in range(len(instance.layers)):
            m.later_limits.add(weights + _alive(m, instance, p, k, order) <= limit)


def _sum(m: Any, instance: Instance, p: int) -> Any:
    """Weights and outputs of the place's layers, and every tensor that it receives."""
    own = sum((layer.weight_bytes + layer.output_bytes) * m.at[p, layer.name] for layer in instance.layers)
    return own + sum(instance.tensor_bytes(u) * m.sent[p - 1, u] for u in instance.tensors)


def _alive(m: Any, instance: Instance, p: int, k: int, order: _Order) -> Any:
    """The bytes alive at place p while its layer k runs.

    Where layer k runs elsewhere, nothing of its own is counted, and what is counted is alive while the place's next layer runs
    too, or is passed on and was alive while its last one ran.
    """
    v = instance.names[k]
    found = instance.tensor_bytes(v) * m.at[p, v]
    for a, i in order.made.items():
        readers = order.read[a]
        if not readers or i == k or not instance.tensor_bytes(a):
            continue
        if i > k:
            alive = m.sent[p - 1, a]  # received, and not to be read before it could have been made
        elif max(readers) < k:
            alive = _sent_on(m, instance, p, a)
        elif min(readers) >= k:
            alive = m.sent[p - 1, a] + _own(m, instance, p, a)
        else:
            alive = m.received[p, v, a] + _own(m, instance, p, a)
        found += instance.tensor_bytes(a) * alive
    return found


def _add_received(m: Any, instance: Instance, places: list[int], order: _Order) -> None:
    """Add `received[p, v, a]`, 1 if a is received and alive while v runs at p, for tensors read both before v and from v on."""
    positions = order.made
    found: list[Alive] = []
    for a, i in positions.items():
        readers = order.read[a]
        found += [(p, instance.names[k], a) for p in places for k in range(i + 1, len(positions) - len(instance.inputs))
                  if readers and min(readers) < k <= max(readers) and instance.tensor_bytes(a)]  # fmt: skip
    m.received = pyo.Var(found, bounds=(0, 1))
    m.receiving = pyo.ConstraintList()
    late = {index: [w for w in instance.consumers[index[2]] if positions[w] >= positions[index[1]]] for index in found}
    for index in found:
        p, _, a = index
        before = 1 if a in instance.inputs else m.upto[p - 1, a]
        for w in late[index]:
            m.receiving.add(m.received[index] >= before - m.upto[p - 1, w])
        if p < len(instance.places):
            m.receiving.add(m.received[index] >= _sent_on(m, instance, p, a) - _own(m, instance, p, a))

    def values(upto: tuple[frozenset[str], ...]) -> list[float]:
        crossing = [*(frozenset(instance.crossing(before)) for before in upto), frozenset[str]()]
        return [a in crossing[p - 2] and (any(w not in upto[p - 2] for w in late[p, v, a]) or a in crossing[p - 1])
                for p, v, a in found]

    derive(m, [m.received[index] for index in found], values)


def _own(m: Any, instance: Instance, p: int, a: str) -> Any:
    """1 if a is made at place p."""
    return 0 if a in instance.inputs else m.at[p, a]


def _sent_on(m: Any, instance: Instance, p: int, a: str) -> Any:
    """1 if a leaves place p for the next; nothing leaves the last one."""
    return m.sent[p, a] if p < len(instance.places) else 0
