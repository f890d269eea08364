"""The stages' times as linear expressions over the model (equations (1) to (3)); objectives are made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmos_opt.instance import Instance


def t_edge(m: Any, instance: Instance) -> Any:
    """Sum of t_edge[v] * edge[v] (s), and of encoding what crosses."""
    return sum(layer.t_edge_s * m.edge[layer.name] for layer in instance.layers) + _over_sent(m, instance.encode_s)


def t_server(m: Any, instance: Instance) -> Any:
    """Sum of t_server[v] * (1 - edge[v]) (s), and of decoding what crosses."""
    return sum(layer.t_server_s * (1 - m.edge[layer.name]) for layer in instance.layers) + _over_sent(m, instance.decode_s)


def t_bytes(m: Any, instance: Instance) -> Any:
    """Sum of u[v] / B * sent[v] (s): the time of the crossing bytes alone."""
    return sum(instance.sent_bytes(name) / instance.bandwidth_bytes_per_s * m.sent[name] for name in m.sent)


def t_back(m: Any, instance: Instance) -> Any:
    """Sum of u[v] / B_back * (1 - edge[v]) over returned v (s): the way back of what the server makes of the result."""
    return sum(instance.back_s(v) * (1 - m.edge[v]) for v in instance.names if instance.back_s(v))


def _over_sent(m: Any, seconds: Callable[[str], float]) -> Any:
    """Sum of seconds[v] * sent[v] (s), without the tensors that take no time: an instance without a codec has no such terms."""
    return sum(seconds(name) * m.sent[name] for name in m.sent if seconds(name))


def t_tx(m: Any, instance: Instance) -> Any:
    """Crossing bytes over the bandwidth, plus rtt if anything is offloaded, plus the way back (s)."""
    return t_bytes(m, instance) + instance.rtt_s * m.offload + t_back(m, instance)
