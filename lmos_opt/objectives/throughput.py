"""Seconds for each image in a pipeline: the slowest of all stages, whose inverse is the throughput; a hop's stage includes its way
back."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import derive, fresh
from lmos_opt.formulation.stages import stages
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.split import Split


def _expression(m: Any, instance: Instance) -> Any:
    """A variable that no stage exceeds; minimised or bounded from above, it is the slowest of them."""
    slowest = fresh(m, "slowest", pyo.Var(bounds=(0, _longest(instance))))
    no_slower = fresh(m, "slowest_stage", pyo.ConstraintList())
    for stage in stages(m, instance):
        no_slower.add(slowest >= stage)
    derive(m, [slowest], lambda split: [_value(Split.of(instance.coded(split.codecs) if split.codecs else instance, split.upto))],
           is_least=True)
    return slowest


def _value(split: Split) -> float:
    return max(*split.times.t_place_s, *(hop.t_s for hop in split.times.hops))


def _longest(instance: Instance) -> float:
    """No stage takes longer: every layer at its slowest place, and every tensor over the slowest hop."""
    layers = sum(max(layer.t_s) for layer in instance.layers)
    ways = {name: instance.ways(name) for name in instance.tensors}
    sizes = sum(max((sent.bytes for sent in ways[name]), default=instance.tensor_bytes(name)) for name in instance.tensors)
    over_hops = [sizes / hop.bandwidth_bytes_per_s + hop.rtt_s + sum(instance.back_s(name, h) for name in instance.names)
            for h, hop in enumerate(instance.hops, 1)]
    places = range(1, len(instance.places) + 1)
    ends = [[sent.at(p) for p in places for sent in found] for found in ways.values() if found]
    codec_s = sum(max(one.encode_s + one.decode_s for one in found) for found in ends)
    return layers + max(over_hops) + codec_s + 1e-6


OBJECTIVE = Objective("throughput", "s", "min", _expression, _value,
                      each=lambda splits: splits.largest(splits.stages, _longest(splits.instance)), grows=True)  # fmt: skip
expression = OBJECTIVE.expression
