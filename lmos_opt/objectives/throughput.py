"""Seconds an image in a pipeline: the slowest of the three stages, whose inverse is the throughput."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos_opt.formulation import stages
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective


def _expression(m: Any, instance: Instance) -> Any:
    """A variable that no stage exceeds; minimised or bounded from above, it is the slowest of them."""
    m.slowest = pyo.Var(bounds=(0, _longest(instance)))
    m.slowest_stage = pyo.ConstraintList()
    for stage in (stages.t_edge, stages.t_tx, stages.t_server):
        m.slowest_stage.add(m.slowest >= stage(m, instance))
    return m.slowest


def _longest(instance: Instance) -> float:
    """No stage takes longer: every layer at its slower side, and every tensor sent."""
    layers = sum(max(layer.t_edge_s, layer.t_server_s) for layer in instance.layers)
    sizes = sum(instance.sent_bytes(name) for name in instance.tensors)
    back = sum(instance.back_s(name) for name in instance.names)
    codec_s = sum(max(instance.encode_s(name), instance.decode_s(name)) for name in instance.tensors)
    return layers + sizes / instance.bandwidth_bytes_per_s + instance.rtt_s + back + codec_s + 1e-6


OBJECTIVE = Objective("throughput", "s", "min", _expression,
                      lambda split: max(split.times.t_edge_s, split.times.t_tx_s, split.times.t_server_s))
