"""The least latency without a memory limit as a minimum cut (DADS): polynomial, and exact.

C. Hu, W. Bao, D. Wang, F. Liu, "Dynamic Adaptive DNN Surgery for Inference Acceleration on the Edge", INFOCOM 2019. A layer
on the source's side runs at the edge. What is cut is what is paid:

- source -> v, `t_server[v]`, and `u[v] / B_back` of a returned v: paid where v runs at the server;
- v -> sink, `t_edge[v]`: paid where v runs at the edge;
- u -> tensor of u, `u[u] / B` (and its codec's time at both ends), and tensor of u -> v for each reader v, without limit: paid
  once where any reader is away;
- v -> u for each arc (u, v), without limit: nothing flows back from the server;
- between layers of a group of `together`, both ways, without limit;
- each input is the source itself.

`rtt` is paid by every split but the one with all layers at the edge, and no arc can say that: so the least cut, with it,
is compared with that one split. No other needs to be looked at, since each costs at least the least cut and `rtt`.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

from lmos_opt.instance import Instance
from lmos_opt.split import Split

_EDGE, _SERVER = ("edge",), ("server",)


def min_cut(instance: Instance) -> Split:
    """A split of least latency; the memory limit is not looked at. Of equals one with as many edge layers as can be.

    Capacities are whole numbers, scaled from the exact values of the instance's doubles, so nothing is rounded.
    """
    import networkx

    instance.check_two("a minimum cut is the least latency")
    graph, scale = _network(instance)
    cut, (edge_side, _) = networkx.minimum_cut(graph, _EDGE, _SERVER)
    edge = frozenset(v for v in instance.names if (v, "layer") in edge_side)
    with_rtt = Fraction(cut, scale) + Fraction(instance.rtt_s)
    if with_rtt >= sum(Fraction(layer.t_edge_s) for layer in instance.layers):
        edge = frozenset(instance.names)
    return Split(instance, edge)


def _network(instance: Instance) -> tuple[Any, int]:
    """The graph, capacities multiplied by the number that makes them whole."""
    import networkx

    bandwidth = Fraction(instance.bandwidth_bytes_per_s)
    s_back = Fraction(0) if instance.back_bytes_per_s is None else 1 / Fraction(instance.back_bytes_per_s)
    priced: list[tuple[Any, Any, Fraction]] = []
    graph = networkx.DiGraph()
    graph.add_nodes_from([_EDGE, _SERVER])
    for layer in instance.layers:
        priced.append((_EDGE, (layer.name, "layer"), Fraction(layer.t_server_s) + layer.returned * layer.output_bytes * s_back))
        priced.append(((layer.name, "layer"), _SERVER, Fraction(layer.t_edge_s)))
    for u, readers in instance.consumers.items():
        if readers:
            price = instance.sent_bytes(u) / bandwidth + Fraction(instance.encode_s(u)) + Fraction(instance.decode_s(u))
            priced.append((_EDGE if u in instance.inputs else (u, "layer"), (u, "tensor"), price))
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
