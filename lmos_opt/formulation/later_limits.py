"""The memory limits of the places after the first, under either memory model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import Solution, derive
from lmos_opt.formulation.copies import copies
from lmos_opt.instance import Instance

Alive = tuple[str, str]
"""A layer that runs at a place, and a tensor that may be alive meanwhile."""


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
    for p, limit in limits.items():
        for needed in needs(m, instance, p):
            m.later_limits.add(needed <= limit)


def needs(m: Any, instance: Instance, p: int) -> list[Any]:
    """Expressions (B); the largest of them is the memory of place p, after the first: one under `sum`, one for each step under
    `peak`."""
    if not hasattr(m, "memory_floor"):
        return [_sum(m, instance, p) + copies(m, instance, p)]
    order = _Order.of(instance)
    received = _add_received(m, instance, p, order)
    weights = sum(layer.held_bytes * m.at[p, layer.name] for layer in instance.layers) + copies(m, instance, p)
    return [weights + _alive(m, instance, (p, k), order, received) for k in range(len(instance.layers))]


def _sum(m: Any, instance: Instance, p: int) -> Any:
    """Weights and outputs of the place's layers, and every tensor that it receives."""
    own = sum((layer.held_bytes + layer.output_bytes) * m.at[p, layer.name] for layer in instance.layers)
    return own + sum(instance.tensor_bytes(u) * m.sent[p - 1, u] for u in instance.tensors)


def _alive(m: Any, instance: Instance, step: tuple[int, int], order: _Order, received: Any) -> Any:
    """The bytes alive at place p while its layer k runs, of a step (p, k).

    Where layer k runs elsewhere, nothing of its own is counted, and what is counted is alive while the place's next layer runs
    too, or is passed on and was alive while its last one ran.
    """
    p, k = step
    v = instance.names[k]
    found = (instance.tensor_bytes(v) + instance.layers[k].workspace_bytes) * m.at[p, v]
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
            alive = received[v, a] + _own(m, instance, p, a)
        found += instance.tensor_bytes(a) * alive
    return found


def _add_received(m: Any, instance: Instance, p: int, order: _Order) -> Any:
    """`received_p[v, a]`, 1 if a is received and alive while v runs at p, for tensors read both before v and from v on.

    They are added to the model where they do not stand there yet.
    """
    if hasattr(m, f"received_{p}"):
        return getattr(m, f"received_{p}")
    positions = order.made
    found: list[Alive] = []
    for a, i in positions.items():
        readers = order.read[a]
        found += [(instance.names[k], a) for k in range(i + 1, len(positions) - len(instance.inputs))
                  if readers and min(readers) < k <= max(readers) and instance.tensor_bytes(a)]  # fmt: skip
    received, receiving = pyo.Var(found, bounds=(0, 1)), pyo.ConstraintList()
    m.add_component(f"received_{p}", received)
    m.add_component(f"receiving_{p}", receiving)
    late = {index: [w for w in instance.consumers[index[1]] if positions[w] >= positions[index[0]]] for index in found}
    for index in found:
        a = index[1]
        before = 1 if a in instance.inputs else m.upto[p - 1, a]
        for w in late[index]:
            receiving.add(received[index] >= before - m.upto[p - 1, w])
        if p < len(instance.places):
            receiving.add(received[index] >= _sent_on(m, instance, p, a) - _own(m, instance, p, a))

    def values(split: Solution) -> list[float]:
        upto = split.upto
        crossing = [*(frozenset(instance.crossing(before)) for before in upto), frozenset[str]()]
        return [a in crossing[p - 2] and (any(w not in upto[p - 2] for w in late[v, a]) or a in crossing[p - 1])
                for v, a in found]

    derive(m, [received[index] for index in found], values)
    return received


def _own(m: Any, instance: Instance, p: int, a: str) -> Any:
    """1 if a is made at place p."""
    return 0 if a in instance.inputs else m.at[p, a]


def _sent_on(m: Any, instance: Instance, p: int, a: str) -> Any:
    """1 if a leaves place p for the next; nothing leaves the last one."""
    return m.sent[p, a] if p < len(instance.places) else 0
