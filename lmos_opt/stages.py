"""The three stages of one inference, from an edge set alone: the ground truth beside the model's expressions."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

from lmos_opt.instance import Instance


@dataclass(frozen=True)
class StageTimes:
    """Times of one inference in seconds, and the bytes that cross; sums are correctly rounded.

    `t_tx_s` is the sum of `t_bytes_s`, what the bytes alone take, `rtt_s`, what the exchange costs if there is one, and `t_back_s`.
    """

    t_edge_s: float
    t_tx_s: float
    t_server_s: float
    latency_s: float
    crossing_bytes: int
    t_bytes_s: float
    rtt_s: float
    t_back_s: float


def stage_times(instance: Instance, edge: frozenset[str]) -> StageTimes:
    """Equations (1) to (4) for a down-closed edge set: edge, transmission (with rtt if anything is offloaded), server.

    What the server makes of the network's result comes back, which is part of the transmission.
    What crosses is encoded at the edge and decoded at the server, where a codec takes time. Sums go through `math.fsum`, so
    that equal sums compare equal whatever the order of their terms.
    """
    at_edge = [layer.t_edge_s for layer in instance.layers if layer.name in edge]
    at_server = [layer.t_server_s for layer in instance.layers if layer.name not in edge]
    crossing = instance.crossing(edge)
    crossing_bytes = sum(instance.sent_bytes(name) for name in crossing)
    t_bytes = crossing_bytes / instance.bandwidth_bytes_per_s
    rtt = rtt_s(instance, edge)
    t_back = back_bytes(instance, edge) / instance.back_bytes_per_s if instance.back_bytes_per_s is not None else 0.0
    at_edge += [instance.encode_s(name) for name in crossing]
    at_server += [instance.decode_s(name) for name in crossing]
    return StageTimes(fsum(at_edge), fsum([t_bytes, rtt, t_back]), fsum(at_server),
                      fsum([*at_edge, t_bytes, rtt, t_back, *at_server]), crossing_bytes, t_bytes, rtt, t_back)


def rtt_s(instance: Instance, edge: frozenset[str]) -> float:
    """The fixed cost (s) of the exchange, which there is if anything is offloaded."""
    return instance.rtt_s if len(edge) < len(instance.layers) else 0.0


def back_bytes(instance: Instance, edge: frozenset[str]) -> int:
    """The bytes that come back to the edge: the returned outputs that the server makes."""
    return sum(layer.output_bytes for layer in instance.layers if layer.returned and layer.name not in edge)
