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
    return layers + _coding_time(m, instance, p) if instance.takes_coding else layers


def sent_bytes(m: Any, instance: Instance, h: int, rate: float | None = None) -> Any:
    """Sum of u[v] * sent[h, v] (B), the bytes that cross as codecs leave them; with a `rate` (B/s) what they take (s)."""

    def share(n_bytes: int) -> float:
        return n_bytes if rate is None else n_bytes / rate

    chosen = _chosen(m, instance)
    found = sum(share(instance.sent_bytes(name)) * m.sent[h, name] for name in instance.tensors if name not in chosen)
    return found + sum(share(choice.bytes) * m.sent_as[h, name, choice.name]
                       for name in instance.chosen_among for choice in instance.codecs[name])  # fmt: skip


def _chosen(m: Any, instance: Instance) -> frozenset[str]:
    """The tensors whose codec is chosen on the model."""
    if instance.chosen_among:
        add_block(m, instance, "chosen_codecs")
    return frozenset(instance.chosen_among)


def bytes_time(m: Any, instance: Instance, h: int) -> Any:
    """Sum of u[v] / B[h] * sent[h, v] (s): the time of the crossing bytes alone."""
    return sent_bytes(m, instance, h, instance.hops[h - 1].bandwidth_bytes_per_s)


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
    chosen = _chosen(m, instance)
    found = sum(instance.encode_s(name, p) * m.encoded[p, name] for q, name in m.encoded if q == p and name not in chosen)
    found += sum(instance.decode_s(name, p) * m.decoded[p, name] for q, name in m.decoded if q == p and name not in chosen)
    for name in instance.chosen_among:
        for choice in instance.codecs[name]:
            key, ends = (p, name, choice.name), choice.at(p)
            found += (ends.encode_s * m.encoded_as[key] if key in m.encoded_as else 0) + (
                ends.decode_s * m.decoded_as[key] if key in m.decoded_as else 0)  # fmt: skip
    return found
