"""The paper's cost of a layer, equations (1) and (3): X / (C * S), work over cores times clock.

X is multiply-accumulates. `ops_per_cycle` is their number in a clock cycle, `ops_per_cycle_by_kind` that for operations of one kind
(of a layer's own kind if its operations have no number). An operation without multiply-accumulates takes no time.
"""

from __future__ import annotations

from typing import Literal

from lmos_opt.costs import CostModel, Layer, Processor


class Paper(CostModel):
    """A record without numbers: the device holds them."""

    model: Literal["paper"] = "paper"

    def layer_time_s(self, layer: Layer, device: Processor) -> float:
        """`macs / (cores * hz * ops_per_cycle)`, summed over kinds where their rates differ."""
        cycles_per_s = device.cores * device.hz
        by_kind = device.ops_per_cycle_by_kind
        rate = by_kind.get(layer.kind, device.ops_per_cycle)
        if layer.work is None or not any(work.kind in by_kind for work in layer.work):
            return layer.macs / (cycles_per_s * rate)
        return sum(work.macs / (cycles_per_s * by_kind.get(work.kind, rate)) for work in layer.work)


MODEL = Paper
