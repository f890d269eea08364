"""The least latency between two places without a memory limit as a minimum cut (DADS): polynomial, and exact.

C. Hu, W. Bao, D. Wang, F. Liu, "Dynamic Adaptive DNN Surgery for Inference Acceleration on the Edge", INFOCOM 2019. A layer
on the source's side runs at the edge. What is cut is what is paid:

- source -> v, `t_server[v]`, and `u[v] / B_back` of a returned v: paid where v runs at the server;
- v -> sink, `t_edge[v]`: paid where v runs at the edge;
- u -> tensor of u, `u[u] / B` (and its codec's time at both ends), and tensor of u -> v for each reader v, without limit: paid
  once where any reader is away;
- v -> u for each arc (u, v), without limit: nothing flows back from the server;
- between layers of a group of `together`, both ways, without limit;
- each input is the source itself. If the first of the two places is not the path's first, inputs come to it encoded: they are
  only decoded, and "input read" -> sink, `decode_s` there, is paid where any reader runs at the edge.

Between two places of a path a byte takes the sum of the times over all hops between them, and an exchange that of all theirs. What
is paid before the first of the two is the same whatever the cut.

`rtt` is paid by every split but the one with all layers at the edge, and no arc can say that: so the least cut, with it,
is compared with that one split. No other needs to be looked at, since each costs at least the least cut and `rtt`.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.split import Split

Pair = tuple[int, int]
"""Two places of a path, the earlier one first, counted from 1."""
_EDGE, _SERVER = ("edge",), ("server",)


def min_cut(instance: Instance, pair: Pair | None = None, memory_model: MemoryModel = "sum") -> Split:
    """A split of least latency between two places, None: the first and the last; memory limits are not looked at.

    Of equals one with as many layers at the first of the two as can be. Capacities are whole numbers, scaled from the exact
    values of the instance's doubles, so nothing is rounded.
    """
    import networkx

    p, q = pair = (1, len(instance.places)) if pair is None else pair
    graph, scale = _network(instance, pair)
    cut, (edge_side, _) = networkx.minimum_cut(graph, _EDGE, _SERVER)
    edge = frozenset(v for v in instance.names if (v, "layer") in edge_side)
    rtt = sum(Fraction(hop.rtt_s) for hop in instance.hops[p - 1 : q - 1])
    decoded = [Fraction(instance.decode_s(u, p)) for u in _encoded_inputs(instance, pair)]
    if Fraction(cut, scale) + rtt >= sum((Fraction(layer.t_s[p - 1]) for layer in instance.layers), sum(decoded, Fraction(0))):
        edge = frozenset(instance.names)
    return split_between(instance, pair, edge, memory_model)


def split_between(instance: Instance, pair: Pair, first: frozenset[str], memory_model: MemoryModel = "sum") -> Split:
    """The split with these layers at the first of two places, and all others at the second."""
    p, q = pair
    whole = frozenset(instance.names)
    return Split.of(instance, [frozenset() if h < p else first if h < q else whole for h in range(1, len(instance.places))],
                    memory_model)  # fmt: skip


def _network(instance: Instance, pair: Pair) -> tuple[Any, int]:
    """The graph, capacities multiplied by the number that makes them whole."""
    import networkx

    (p, q), between = pair, instance.hops[pair[0] - 1 : pair[1] - 1]
    byte_s = sum(1 / Fraction(hop.bandwidth_bytes_per_s) for hop in between)
    s_back = sum(1 / Fraction(hop.back_bytes_per_s) for hop in between if hop.back_bytes_per_s is not None)
    priced: list[tuple[Any, Any, Fraction]] = []
    graph = networkx.DiGraph()
    graph.add_nodes_from([_EDGE, _SERVER])
    for layer in instance.layers:
        priced.append((_EDGE, (layer.name, "layer"), Fraction(layer.t_s[q - 1]) + layer.returned * layer.output_bytes * s_back))
        priced.append(((layer.name, "layer"), _SERVER, Fraction(layer.t_s[p - 1])))
    come_encoded = _encoded_inputs(instance, pair)
    for u, readers in instance.consumers.items():
        if readers:
            price = instance.sent_bytes(u) * byte_s + Fraction(instance.decode_s(u, q))
            price += 0 if u in come_encoded else Fraction(instance.encode_s(u, p))
            priced.append((_EDGE if u in instance.inputs else (u, "layer"), (u, "tensor"), price))
        if u in come_encoded:
            priced.append(((u, "read"), _SERVER, Fraction(instance.decode_s(u, p))))
            for v in readers:
                graph.add_edge((v, "layer"), (u, "read"))
        for v in readers:
            graph.add_edge((u, "tensor"), (v, "layer"))  # an arc without a capacity has no limit
            if u not in instance.inputs:
                graph.add_edge((v, "layer"), (u, "layer"))
    for group in instance.groups:
        first, *rest = group
        for v in rest:
            graph.add_edge((first, "layer"), (v, "layer"))
            graph.add_edge((v, "layer"), (first, "layer"))
    scale = lcm(*(price.denominator for _, _, price in priced))
    for tail, head, price in priced:
        graph.add_edge(tail, head, capacity=int(price * scale))
    return graph, scale


def _encoded_inputs(instance: Instance, pair: Pair) -> list[str]:
    """The inputs that reach the first of the two places over a hop, and are decoded wherever a layer reads them."""
    return [u for u in instance.inputs if pair[0] > 1 and instance.consumers[u]]
