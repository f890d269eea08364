"""The stages of one inference, computed only from where layers run: the true values of the model's expressions.

And their intervals, if layers' measured times have intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import fsum

from lmos_opt.device import LOCAL
from lmos_opt.instance import Instance
from lmos_opt.profile import NetworkProfile, ProfileLayer, Timing


@dataclass(frozen=True)
class HopTimes:
    """The times of one hop in an inference: its bytes' time, the exchange's fixed cost if there is one, the result's way back (s).
    """

    n_bytes: int
    t_bytes_s: float
    rtt_s: float
    t_back_s: float

    @property
    def t_s(self) -> float:
        """Their sum (s)."""
        return fsum([self.t_bytes_s, self.rtt_s, self.t_back_s])


@dataclass(frozen=True)
class StageTimes:
    """Times of one inference in seconds, one for each place and hop; sums are correctly rounded.

    With two places they also have names: `t_edge_s`, `t_tx_s`, `t_server_s`, and `crossing_bytes`, `t_bytes_s`, `rtt_s`, `t_back_s`
    of the first hop; `t_tx_s` is the sum of the last three.
    """

    t_place_s: tuple[float, ...]
    hops: tuple[HopTimes, ...]
    latency_s: float

    @property
    def in_order_s(self) -> tuple[float, ...]:
        """The times of places and hops in the order in which data passes."""
        ways = zip(self.t_place_s, self.hops, strict=False)
        return (*(time for t_s, hop in ways for time in (t_s, hop.t_s)), self.t_place_s[-1])

    @property
    def t_edge_s(self) -> float:
        """The first place's time."""
        return self.t_place_s[0]

    @property
    def t_server_s(self) -> float:
        """The last place's time."""
        return self.t_place_s[-1]

    @property
    def t_tx_s(self) -> float:
        """The first hop's time, the way back included."""
        return self.hops[0].t_s

    @property
    def crossing_bytes(self) -> int:
        """The bytes that cross the first hop."""
        return self.hops[0].n_bytes

    @property
    def t_bytes_s(self) -> float:
        """The time of these bytes."""
        return self.hops[0].t_bytes_s

    @property
    def rtt_s(self) -> float:
        """The first hop's fixed cost."""
        return self.hops[0].rtt_s

    @property
    def t_back_s(self) -> float:
        """The result's way back over the first hop."""
        return self.hops[0].t_back_s


def stage_times(instance: Instance, *upto: frozenset[str]) -> StageTimes:
    """Equations (1) to (4): the places' times, and between them the hops'.

    `upto` has a down-closed set for each hop: the layers that run before it. With two places it is the edge set. The part of the
    network's result that is made beyond a hop comes back over it. A crossing tensor is encoded where it is made and decoded at each
    place that reads it, if a codec takes time. Sums use `math.fsum`, so that equal sums compare equal in any order of their terms.
    """
    sets = (frozenset[str](), *upto, frozenset(instance.names))
    parts = [[layer.t_s[p] for layer in instance.layers if layer.name in here]
             for p, here in enumerate(to - before for before, to in pairwise(sets))]
    hops = tuple(_hop_times(instance, h, before) for h, before in enumerate(upto, 1))
    if instance.takes_coding:
        for p, part in enumerate(parts, 1):
            part += [instance.encode_s(name, p) for name in encoded(instance, upto, p)]
            part += [instance.decode_s(name, p) for name in decoded(instance, upto, p)]
    ways = [time for hop in hops for time in (hop.t_bytes_s, hop.rtt_s, hop.t_back_s)]
    return StageTimes(tuple(map(fsum, parts)), hops, fsum([*(time for part in parts for time in part), *ways]))


def _hop_times(instance: Instance, h: int, before: frozenset[str]) -> HopTimes:
    hop = instance.hops[h - 1]
    n_bytes = sum(instance.sent_bytes(name) for name in instance.crossing(before))
    back = back_bytes(instance, before) / hop.back_bytes_per_s if hop.back_bytes_per_s is not None else 0.0
    return HopTimes(n_bytes, n_bytes / hop.bandwidth_bytes_per_s, rtt_s(instance, before, h), back)


def encoded(instance: Instance, upto: Sequence[frozenset[str]], p: int) -> tuple[str, ...]:
    """The tensors that place p, counted from 1, makes and sends on: those that a codec encodes there."""
    if p > len(upto):
        return ()
    relayed = set(instance.crossing(upto[p - 2])) if p > 1 else set()
    return tuple(u for u in instance.crossing(upto[p - 1]) if u not in relayed)


def decoded(instance: Instance, upto: Sequence[frozenset[str]], p: int) -> tuple[str, ...]:
    """The tensors that arrive at place p and are read there: those that a codec decodes there."""
    if p == 1:
        return ()
    here = (upto[p - 1] if p <= len(upto) else frozenset(instance.names)) - upto[p - 2]
    return tuple(u for u in instance.crossing(upto[p - 2]) if not here.isdisjoint(instance.consumers[u]))


def rtt_s(instance: Instance, before: frozenset[str], hop: int = 1) -> float:
    """The fixed cost (s) of a hop's exchange, if anything runs beyond the hop; otherwise 0."""
    return instance.hops[hop - 1].rtt_s if len(before) < len(instance.layers) else 0.0


def back_bytes(instance: Instance, before: frozenset[str]) -> int:
    """The bytes that come back over a hop: the returned outputs that are made beyond it."""
    return sum(layer.output_bytes for layer in instance.layers if layer.returned and layer.name not in before)


Interval = tuple[float, float]


def stage_intervals(times: StageTimes, profile: NetworkProfile, edge: frozenset[str], devices: tuple[str, str],
                    rtt_s: float) -> dict[str, Interval]:  # fmt: skip
    """The interval (s) of each stage with times measured on this machine, by the stage's name; empty if there are none.

    The ends of a sum are the sums of the ends. They are rather wide, because the reason why one layer is slow makes the next one
    slow too. The link's interval is that of an exchange, if `rtt_s` is the fixed cost that the profile measured.
    """
    layers = [layer for layer in profile.layers if layer.t_local_low_s is not None and layer.t_local_high_s is not None]
    if not layers or LOCAL not in devices:
        return {}
    at_edge, at_server = (device == LOCAL for device in devices)
    found = {}
    if at_edge:
        found["t_edge_s"] = _around(times.t_edge_s, layers, lambda layer: layer.name in edge)
    if at_edge and at_server and rtt_s == profile.exchange_s and times.t_server_s:
        timing = profile.timing or Timing()
        middle, low, high = timing.exchange_s, timing.exchange_low_s, timing.exchange_high_s
        if middle is not None and low is not None and high is not None:
            found["t_tx_s"] = (times.t_tx_s - middle + low, times.t_tx_s - middle + high)
    if at_server:
        found["t_server_s"] = _around(times.t_server_s, layers, lambda layer: layer.name not in edge)
    stages = {"t_edge_s": times.t_edge_s, "t_tx_s": times.t_tx_s, "t_server_s": times.t_server_s}
    below = fsum(stages[name] - low for name, (low, _) in found.items())
    above = fsum(high - stages[name] for name, (_, high) in found.items())
    return {**found, "latency_s": (max(times.latency_s - below, 0.0), times.latency_s + above)}


def where_measured(times: StageTimes, profile: NetworkProfile, devices: tuple[str, str], rtt_s: float) -> StageTimes:
    """The stages as a run measures them, if all times are this machine's. The latency is the same, but the additional time of the
    server's part after a pause, which `rtt_s` holds, is in the time of this part."""
    restart_s = 0.0 if profile.timing is None else profile.timing.restart_s or 0.0
    if set(devices) != {LOCAL} or rtt_s != profile.exchange_s or not restart_s or not times.rtt_s:
        return times
    later = [restart_s if p and t_s else 0.0 for p, t_s in enumerate(times.t_place_s)]
    hop = replace(times.hops[0], rtt_s=times.hops[0].rtt_s - fsum(later))
    return replace(times, t_place_s=tuple(t_s + more for t_s, more in zip(times.t_place_s, later, strict=True)), hops=(hop,))


def _around(stage_s: float, layers: Iterable[ProfileLayer], counts: Callable[[ProfileLayer], bool]) -> Interval:
    chosen = [layer for layer in layers if counts(layer)]
    below = fsum((layer.t_local_s or 0.0) - (layer.t_local_low_s or 0.0) for layer in chosen)
    above = fsum((layer.t_local_high_s or 0.0) - (layer.t_local_s or 0.0) for layer in chosen)
    return max(stage_s - below, 0.0), stage_s + above
