"""The stages' times as linear expressions over the model (equations (1) to (3)); objectives are made of them.

Places and hops count from 1.
"""

from __future__ import annotations

from typing import Any

from lmos_opt.formulation import add_block
from lmos_opt.instance import Instance


def place_time(m: Any, instance: Instance, p: int) -> Any:
    """Sum of t[p, v] * at[p, v] (s), and of the times of encoding what is made there and crosses, and of decoding what comes and is
    read there."""
    layers = sum(layer.t_s[p - 1] * m.at[p, layer.name] for layer in instance.layers)
    return layers if instance.coding is None else layers + _coding_time(m, instance, p)


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


def _coding_time(m: Any, instance: Instance, p: int) -> Any:
    """Sum of encode[p, v] * encoded[p, v] and decode[p, v] * decoded[p, v] (s), without the tensors that take no time."""
    add_block(m, instance, "coded")
    found = sum(instance.encode_s(name, p) * m.encoded[p, name] for name in instance.tensors if (p, name) in m.encoded)
    return found + sum(instance.decode_s(name, p) * m.decoded[p, name] for name in instance.tensors if (p, name) in m.decoded)
