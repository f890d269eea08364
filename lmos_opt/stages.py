"""The three stages of one inference, from an edge set alone: the ground truth beside the model's expressions.

And how sure they are, where layers' measured times come with intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import fsum

from lmos_opt.device import LOCAL
from lmos_opt.instance import Instance
from lmos_opt.profile import NetworkProfile, ProfileLayer


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


Interval = tuple[float, float]


def stage_intervals(times: StageTimes, profile: NetworkProfile, edge: frozenset[str], devices: tuple[str, str],
                    rtt_s: float) -> dict[str, Interval]:  # fmt: skip
    """The interval of each stage that holds times measured on this machine (s), by the stage's name; empty if none has one.

    The ends of a sum are the sums of the ends: wide rather than narrow, since what makes one layer slow makes the next one
    slow too. The link's is that of an exchange, where `rtt_s` is what the profile measured one to cost.
    """
    layers = [layer for layer in profile.layers if layer.t_local_low_s is not None and layer.t_local_high_s is not None]
    if not layers or LOCAL not in devices:
        return {}
    at_edge, at_server = (device == LOCAL for device in devices)
    found = {}
    if at_edge:
        found["t_edge_s"] = _around(times.t_edge_s, layers, lambda layer: layer.name in edge)
    if at_edge and at_server and rtt_s == profile.exchange_s and times.t_server_s:
        timing = profile.timing or {}
        middle, low, high = (timing.get(key) for key in ("exchange_s", "exchange_low_s", "exchange_high_s"))
        if isinstance(middle, float) and isinstance(low, float) and isinstance(high, float):
            found["t_tx_s"] = (times.t_tx_s - middle + low, times.t_tx_s - middle + high)
    if at_server:
        found["t_server_s"] = _around(times.t_server_s, layers, lambda layer: layer.name not in edge)
    stages = {"t_edge_s": times.t_edge_s, "t_tx_s": times.t_tx_s, "t_server_s": times.t_server_s}
    below = fsum(stages[name] - low for name, (low, _) in found.items())
    above = fsum(high - stages[name] for name, (_, high) in found.items())
    return {**found, "latency_s": (max(times.latency_s - below, 0.0), times.latency_s + above)}


def _around(stage_s: float, layers: Iterable[ProfileLayer], counts: Callable[[ProfileLayer], bool]) -> Interval:
    chosen = [layer for layer in layers if counts(layer)]
    below = fsum((layer.t_local_s or 0.0) - (layer.t_local_low_s or 0.0) for layer in chosen)
    above = fsum((layer.t_local_high_s or 0.0) - (layer.t_local_s or 0.0) for layer in chosen)
    return max(stage_s - below, 0.0), stage_s + above
