"""Bytes that cross, each tensor once for each hop: the numerator of equation (2); `tx_bytes:N` counts one hop, from 1."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd
from typing import Any

from lmos_opt.formulation.stages import sent_bytes
from lmos_opt.instance import Instance
from lmos_opt.listing.sums import total
from lmos_opt.objectives import Objective, numbered


def _expression(m: Any, instance: Instance, hops: Iterable[int]) -> Any:
    return sum(sent_bytes(m, instance, h) for h in hops)


def _granule(instance: Instance) -> float:
    chosen = [choice.bytes for name in instance.chosen_among for choice in instance.codecs[name]]
    return gcd(*(instance.sent_bytes(name) for name in instance.tensors), *chosen) or 1


OBJECTIVE = Objective("tx_bytes", "B", "min", lambda m, inst: _expression(m, inst, range(1, len(inst.places))),
                      lambda split: sum(hop.n_bytes for hop in split.times.hops), _granule,
                      lambda splits: splits.listed(total([splits.sent_bytes(h + 1) for h in range(len(splits.instance.hops))])))
expression = OBJECTIVE.expression


def objective(argument: str) -> Objective:
    """The objective of the hop with that number; InputError if it is none."""
    n = numbered("tx_bytes", argument)
    return Objective(f"tx_bytes:{n.number}", "B", "min", lambda m, inst: _expression(m, inst, [n.of(inst.name, inst.hops)]),
                     lambda split: split.times.hops[n.number - 1].n_bytes, _granule,
                     lambda splits: splits.listed(splits.sent_bytes(n.of(splits.instance.name, splits.instance.hops))))  # fmt: skip
