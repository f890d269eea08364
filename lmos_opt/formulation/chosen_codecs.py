"""Crossing tensors whose codec is to be chosen: `codec[u, c]` is 1 if u crosses any hop, and does so as c.

A tensor has one codec on all hops: it is encoded where it is made, relayed as it is, and decoded at each place that reads it.
`sent_as[h, u, c]` is the product of `sent[h, u]` and `codec[u, c]`; `encoded_as[p, u, c]` and `decoded_as[p, u, c]` are the same
products with the variables of the block `coded`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import Solution, add_block, derive
from lmos_opt.instance import Instance
from lmos_opt.stages import decoded, encoded

Product = tuple[int, str, str]


def add(m: Any, instance: Instance) -> None:
    """Add `codec` and the variables that follow from it: one codec if a tensor crosses, none otherwise. With two places each
    product is `codec` itself."""
    add_block(m, instance, "coded")
    chosen, hops = instance.chosen_among, range(1, len(instance.hops) + 1)
    m.codec = pyo.Var([(u, choice.name) for u in chosen for choice in instance.codecs[u]], domain=pyo.Binary)
    m.codecs = pyo.ConstraintList()
    if len(hops) == 1:
        crosses = {u: m.sent[1, u] for u in chosen}
    else:
        m.crosses = crosses = pyo.Var(chosen, bounds=(0, 1))
        derive(m, [crosses[u] for u in chosen], lambda split: [u in split.codecs for u in chosen])
        for u in chosen:
            for h in hops:
                m.codecs.add(crosses[u] >= m.sent[h, u])
            m.codecs.add(crosses[u] <= sum(m.sent[h, u] for h in hops))
    for u in chosen:
        m.codecs.add(sum(m.codec[u, choice.name] for choice in instance.codecs[u]) == crosses[u])
    m.sent_as = _products(m, instance, "sent_as", {(h, u): m.sent[h, u] for h in hops for u in chosen})
    m.encoded_as = _products(m, instance, "encoded_as", {key: x for key, x in m.encoded.items() if key[1] in chosen})
    m.decoded_as = _products(m, instance, "decoded_as", {key: x for key, x in m.decoded.items() if key[1] in chosen})


def _products(m: Any, instance: Instance, name: str, factors: dict[tuple[int, str], Any]) -> dict[Product, Any]:
    """Each of the variables of tensors at hops or places times each codec of the tensor."""
    if len(instance.hops) == 1:
        return {(k, u, choice.name): m.codec[u, choice.name] for k, u in factors for choice in instance.codecs[u]}
    index = [(k, u, choice.name) for k, u in factors for choice in instance.codecs[u]]
    found = pyo.Var(index, bounds=(0, 1))
    m.add_component(f"{name}_", found)
    for k, u, c in index:
        m.codecs.add(found[k, u, c] <= m.codec[u, c])
    for (k, u), x in factors.items():
        m.codecs.add(sum(found[k, u, choice.name] for choice in instance.codecs[u]) == x)
    derive(m, list(found.values()), lambda split: [split.codecs.get(u) == c and _is_one(name, split, k, u) for k, u, c in index])
    return dict(found.items())


def _is_one(name: str, split: Solution, k: int, u: str) -> bool:
    """Whether a tensor crosses hop k, or is encoded or decoded at place k."""
    instance, upto = split.instance, split.upto
    if name == "sent_as":
        return u in instance.crossing(upto[k - 1])
    found: Iterable[str] = (encoded if name == "encoded_as" else decoded)(instance, upto, k)
    return u in found
