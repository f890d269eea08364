"""The stages' times as linear expressions over the model (equations (1) to (3)); objectives are made of them.

Places and hops count from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmos_opt.instance import Instance


def place_time(m: Any, instance: Instance, p: int) -> Any:
    """Sum of t[p, v] * at[p, v] (s); at the first place also of encoding what crosses, at the last of decoding it."""
    layers = sum(layer.t_s[p - 1] * m.at[p, layer.name] for layer in instance.layers)
    coded = {1: instance.encode_s, len(instance.places): instance.decode_s}.get(p)
    return layers if coded is None else layers + _over_sent(m, instance, coded)


def bytes_time(m: Any, instance: Instance, h: int) -> Any:
    """Sum of u[v] / B[h] * sent[h, v] (s): the time of the crossing bytes alone."""
    rate = instance.hops[h - 1].bandwidth_bytes_per_s
    return sum(instance.sent_bytes(name) / rate * m.sent[h, name] for name in instance.tensors)


def back_time(m: Any, instance: Instance, h: int) -> Any:
    """Sum of u[v] / B_back[h] * (1 - upto[h, v]) over returned v (s): the way back of the result's part that is made beyond."""
    return sum(instance.back_s(v, h) * (1 - m.upto[h, v]) for v in instance.names if instance.back_s(v, h))


def exchange_time(m: Any, instance: Instance, h: int) -> Any:
    """rtt[h] * offload[h] (s): the fixed cost of an exchange, if anything runs beyond the hop."""
    return instance.hops[h - 1].rtt_s * m.offload[h]


def hop_time(m: Any, instance: Instance, h: int) -> Any:
    """Crossing bytes over the bandwidth, plus rtt if anything runs beyond, plus the way back (s)."""
    return bytes_time(m, instance, h) + exchange_time(m, instance, h) + back_time(m, instance, h)


def stages(m: Any, instance: Instance) -> list[Any]:
    """All stages' times (s) in the data's order: place 1, hop 1, place 2, and so on."""
    found = [place_time(m, instance, 1)]
    for h in range(1, len(instance.places)):
        found += [hop_time(m, instance, h), place_time(m, instance, h + 1)]
    return found


def _over_sent(m: Any, instance: Instance, seconds: Callable[[str], float]) -> Any:
    """Sum of seconds[v] * sent[v] (s), without the tensors that take no time: an instance without a codec has no such terms."""
    return sum(seconds(name) * m.sent[1, name] for name in instance.tensors if seconds(name))
