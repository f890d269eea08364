"""Memory model `peak`, the memory that a device really needs: its weights and the most bytes alive while one of its layers runs."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import Solution, add_block, derive
from lmos_opt.formulation.copies import copies
from lmos_opt.formulation.memory import is_alive, peak_step
from lmos_opt.instance import Instance


def add(m: Any, instance: Instance) -> None:
    """Add `memory` (B): weights plus the bytes alive at one chosen edge step, `step[v]`, which is at most the peak.

    While v runs at the edge, an earlier edge output a is alive if a consumer stands at v or later (then it has not run, or runs at
    the server) or if it is returned, otherwise only if it is sent. If this follows from edge[v] by precedence alone, it is part of
    step[v]'s coefficient; elsewhere `alive[v, a]` is bounded by step[v] and by a's own condition. No product and no big-M: every
    row except memory's own has coefficients of 1.

    If `memory` is maximised, or bounded from below, it is the peak: the best step is the peak step. `memory_floor` bounds it from
    above by the bytes alive at every step, for limits and for objectives that want it small.
    """
    add_block(m, instance, "used")
    m.step = pyo.Var(m.layers, domain=pyo.Binary)
    held = {v: _held(instance, k) for k, v in enumerate(instance.names)}
    pairs = [(v, a) for v, (_, optional) in held.items() for a in optional]
    m.alive = pyo.Var(pairs, bounds=(0, 1))

    def at_the_peak(split: Solution) -> list[float]:
        """The step while which most bytes are alive, and what is alive then."""
        edge = split.upto[0]
        peak = peak_step(instance, edge)
        return [*(v == peak for v in instance.names), *(v == peak and is_alive(instance, edge, a, v) for v, a in pairs)]

    derive(m, [*(m.step[v] for v in instance.names), *(m.alive[pair] for pair in pairs)], at_the_peak)
    m.peak_step = pyo.ConstraintList()
    m.peak_step.add(sum(m.step[v] for v in m.layers) == m.used)
    for v, (_, optional) in held.items():
        m.peak_step.add(m.step[v] <= m.upto[1, v])
        for a, still_read in optional.items():
            m.peak_step.add(m.alive[v, a] <= m.step[v])
            m.peak_step.add(m.alive[v, a] <= (m.upto[1, a] if still_read else m.sent[1, a]))
    weights = sum(layer.held_bytes * m.upto[1, layer.name] for layer in instance.layers) + copies(m, instance, 1)
    at_step = sum(forced * m.step[v] for v, (forced, _) in held.items())
    at_step += sum(instance.tensor_bytes(a) * m.alive[v, a] for v, a in pairs)
    m.memory = pyo.Expression(expr=weights + at_step)

    def floor(m: Any, v: str) -> Any:
        """The bytes needed while v runs; nothing of v itself if it runs at the server.

        Then what is counted is alive at the next edge step too, or, after the last one, crosses or is returned and was
        alive there.
        """
        forced, optional = held[v]
        rest = sum(instance.tensor_bytes(a) * (m.upto[1, a] if read else _kept(m, instance, a)) for a, read in optional.items())
        return weights + forced * m.upto[1, v] + rest

    m.memory_floor = pyo.Expression(m.layers, rule=floor)


def _kept(m: Any, instance: Instance, a: str) -> Any:
    """1 if the output of a is kept to be sent; an input takes memory only where a layer runs at the edge."""
    return m.sent[1, a] + m.used - 1 if a in instance.inputs else m.sent[1, a]


def _held(instance: Instance, k: int) -> tuple[int, dict[str, bool]]:
    """While layer k runs at the edge: the bytes that are surely alive, and which outputs may be: whether still read."""
    names = instance.names
    position = {name: i for i, name in enumerate(names)}
    before = _ancestors(instance, names[k])
    forced, optional = instance.tensor_bytes(names[k]) + instance.layers[k].workspace_bytes, {}
    for a in (*instance.inputs, *names[:k]):
        readers = instance.consumers[a]
        is_returned = a in instance.returned  # then it is needed to the end, as if somebody read it there
        still_read = is_returned or any(position[v] >= k for v in readers)
        if still_read and (a in instance.inputs or a in before):
            forced += instance.tensor_bytes(a)
        elif instance.tensor_bytes(a) and (is_returned or not before.issuperset(readers)):
            optional[a] = still_read
    return forced, optional


def _ancestors(instance: Instance, name: str) -> set[str]:
    found: set[str] = set()
    stack = [name]
    while stack:
        for u in instance.layer(stack.pop()).inputs:
            if u not in instance.inputs and u not in found:
                found.add(u)
                stack.append(u)
    return found
