"""How sure predicted stages are, where layers' measured times come with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import fsum

from lmos_opt.device import LOCAL
from lmos_opt.profile import NetworkProfile, ProfileLayer
from lmos_opt.stages import StageTimes

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
