"""A case as the arrays that a solver's own interface takes, written by hand: what somebody without Pyomo would do.

The split is the integer program of `lmos_opt/formulation` (assignment, crossing, memory `sum`), row for row. Its variables that
the formulation leaves continuous (`sent`, `offload`, `used`) are 0 or 1 wherever `edge` is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from lmos.bench.cases import Case, IntegerProgram
from lmos_opt.instance import Instance

Floats = NDArray[np.float64]


@dataclass
class Rows:
    """Rows `lower <= sum of coefficient * x[column] <= upper`, one after another."""

    starts: list[int] = field(default_factory=lambda: [0])
    columns: list[int] = field(default_factory=list)
    coefficients: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)

    def add(self, entries: dict[int, float], lower: float, upper: float) -> None:
        """Append a row."""
        self.columns += entries.keys()
        self.coefficients += entries.values()
        self.starts.append(len(self.columns))
        self.lower.append(lower)
        self.upper.append(upper)


@dataclass(frozen=True)
class Arrays:
    """Integer columns in `0..upper`; costs (p x n) and constants of objectives turned to min."""

    upper: Floats
    rows: Rows
    costs: Floats
    constants: Floats
    signs: Floats
    is_integral: bool

    def values(self, x: Floats) -> tuple[float, ...]:
        """The objectives' values at x, in their own senses."""
        return tuple((self.signs * (self.costs @ x + self.constants)).tolist())


def arrays(case: Case) -> Arrays:
    """The arrays of a case."""
    return _split(case.problem) if isinstance(case.problem, Instance) else _listed(case.problem)


def _listed(program: IntegerProgram) -> Arrays:
    rows = Rows()
    for row, relation, bound in zip(program.A, program.relations, program.b, strict=True):
        entries = {k: a for k, a in enumerate(row) if a}
        rows.add(entries, -inf if relation == "<=" else bound, inf if relation == ">=" else bound)
    signs = np.array([1.0 if sense == "min" else -1.0 for sense in program.sense])
    costs = signs[:, None] * np.array(program.c)
    return Arrays(np.array(program.upper), rows, costs, signs * np.array(program.c0), signs,
                  program.is_integral)


def _split(instance: Instance) -> Arrays:
    """Columns: edge[v], sent[u] of every tensor that is read, offload, and `used` where several layers read the image."""
    edge = {name: k for k, name in enumerate(instance.names)}
    n_layers = len(edge)
    sent = {u: n_layers + k for k, u in enumerate(u for u, readers in instance.consumers.items() if readers)}
    offload = n_layers + len(sent)
    first = [layer.name for layer in instance.layers if set(layer.inputs) == set(instance.inputs)]
    used = edge[first[0]] if len(first) == 1 else offload + 1
    n = max(offload, used) + 1
    rows = Rows()
    for u, v in instance.arcs:
        if u not in instance.inputs:
            rows.add({edge[u]: 1.0, edge[v]: -1.0}, 0.0, inf)
    for u, k in sent.items():
        readers = instance.consumers[u]
        minus_edge: dict[int, float] = {} if u in instance.inputs else {edge[u]: -1.0}
        at_edge = 1.0 if u in instance.inputs else 0.0
        if len(readers) == 1:
            rows.add({k: 1.0, edge[readers[0]]: 1.0, **minus_edge}, at_edge, at_edge)
            continue
        for v in readers:
            rows.add({k: 1.0, edge[v]: 1.0, **minus_edge}, at_edge, inf)
        rows.add({k: 1.0, **minus_edge}, -inf, at_edge)
        rows.add({k: 1.0, **{edge[v]: 1.0 for v in readers}}, -inf, len(readers))
    last = [edge[v] for v in instance.names if not instance.consumers[v]]
    for k in last:
        rows.add({offload: 1.0, k: 1.0}, 1.0, inf)
    rows.add({offload: 1.0, **dict.fromkeys(last, 1.0)}, -inf, len(last))
    if len(first) > 1:
        for v in first:
            rows.add({used: 1.0, edge[v]: -1.0}, 0.0, inf)
        rows.add({used: 1.0, **{edge[v]: -1.0 for v in first}}, -inf, 0.0)
    latency, memory = np.zeros(n), np.zeros(n)
    for k, layer in enumerate(instance.layers):
        latency[k] = layer.t_edge_s - layer.t_server_s - instance.back_s(layer.name)
        memory[k] = layer.weight_bytes + layer.output_bytes
    for u, k in sent.items():
        latency[k] = instance.sent_bytes(u) / instance.bandwidth_bytes_per_s + instance.encode_s(u) + instance.decode_s(u)
    latency[offload] = instance.rtt_s
    memory[used] += instance.input_bytes
    if instance.memory_limit_bytes is not None:
        rows.add({k: a for k, a in enumerate(memory.tolist()) if a}, -inf, float(instance.memory_limit_bytes))
    all_at_server = sum(layer.t_server_s + instance.back_s(layer.name) for layer in instance.layers)
    return Arrays(np.ones(n), rows, np.array([latency, -memory]), np.array([all_at_server, 0.0]),
                  np.array([1.0, -1.0]), is_integral=False)
