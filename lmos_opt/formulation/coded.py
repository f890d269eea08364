"""Where a codec works: `encoded[p, u]` is 1 if place p makes u and sends it on, `decoded[p, u]` if u arrives at place p and is read
there. A relayed tensor is neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive
from lmos_opt.instance import Instance
from lmos_opt.stages import decoded, encoded

Index = tuple[int, str]


def add(m: Any, instance: Instance) -> None:
    """Add `encoded` and `decoded` for the places and tensors where a codec takes time. At the first place `encoded` is `sent` over
    the first hop, at the last place `decoded` is `sent` over the last hop. At places between, rows bind both from below and above,
    so that they are exact at binary `upto`."""
    places = range(1, len(instance.places) + 1)
    encodes = [(p, u) for p in places[:-1] for u in instance.tensors if any(sent.at(p).encode_s for sent in instance.ways(u))]
    decodes = [(p, u) for p in places[1:] for u in instance.tensors if any(sent.at(p).decode_s for sent in instance.ways(u))]
    between = [(p, u) for p, u in encodes if p > 1], [(p, u) for p, u in decodes if p < len(places)]
    m.encoding, m.decoding = pyo.Var(between[0], bounds=(0, 1)), pyo.Var(between[1], bounds=(0, 1))
    m.encoded = {(p, u): m.sent[1, u] if p == 1 else m.encoding[p, u] for p, u in encodes}
    m.decoded = {(p, u): m.sent[p - 1, u] if p == len(places) else m.decoding[p, u] for p, u in decodes}
    m.coded = pyo.ConstraintList()
    for p, u in between[0]:
        _bind_encoding(m, p, u)
    for p, u in between[1]:
        _bind_decoding(m, p, u, instance.consumers[u])
    derive(m, [*m.encoding.values(), *m.decoding.values()], lambda split: _values(instance, split.upto, *between))


def _bind_encoding(m: Any, p: int, u: str) -> None:
    """1 if u crosses the hop after place p, and not the one before it."""
    m.coded.add(m.encoding[p, u] >= m.sent[p, u] - m.sent[p - 1, u])
    m.coded.add(m.encoding[p, u] <= m.sent[p, u])
    m.coded.add(m.encoding[p, u] <= 1 - m.sent[p - 1, u])


def _bind_decoding(m: Any, p: int, u: str, readers: Sequence[str]) -> None:
    """1 if u crosses the hop before place p, and one of its readers runs there."""
    for v in readers:
        m.coded.add(m.decoding[p, u] >= m.sent[p - 1, u] + m.at[p, v] - 1)
    m.coded.add(m.decoding[p, u] <= m.sent[p - 1, u])
    m.coded.add(m.decoding[p, u] <= sum(m.at[p, v] for v in readers))


def _values(instance: Instance, upto: tuple[frozenset[str], ...], encoding: Sequence[Index],
            decoding: Sequence[Index]) -> list[float]:  # fmt: skip
    places = range(1, len(instance.places) + 1)
    made = {(p, u) for p in places for u in encoded(instance, upto, p)}
    read = {(p, u) for p in places for u in decoded(instance, upto, p)}
    return [*(index in made for index in encoding), *(index in read for index in decoding)]
