"""The stages' times as linear expressions over the model (equations (1) to (3)); objectives are made of them."""

from __future__ import annotations

from typing import Any

from lmos_opt.instance import Instance


def t_edge(m: Any, instance: Instance) -> Any:
    """Sum of t_edge[v] * edge[v] (s)."""
    return sum(layer.t_edge_s * m.edge[layer.name] for layer in instance.layers)


def t_server(m: Any, instance: Instance) -> Any:
    """Sum of t_server[v] * (1 - edge[v]) (s)."""
    return sum(layer.t_server_s * (1 - m.edge[layer.name]) for layer in instance.layers)


def t_bytes(m: Any, instance: Instance) -> Any:
    """Sum of u[v] / B * sent[v] (s): the time of the crossing bytes alone."""
    return sum(instance.tensor_bytes(name) / instance.bandwidth_bytes_per_s * m.sent[name] for name in m.sent)


def t_tx(m: Any, instance: Instance) -> Any:
    """Crossing bytes over the bandwidth, plus rtt if anything is offloaded (s)."""
    return t_bytes(m, instance) + instance.rtt_s * m.offload
