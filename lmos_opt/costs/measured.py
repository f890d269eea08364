"""The times that `lmos profile --time` measured on this machine, layer by layer."""

from __future__ import annotations

from typing import ClassVar, Literal

from lmos_opt.costs import CostModel, Layer, Processor, local_time_s


class Measured(CostModel):
    """A record without numbers: the profile holds them."""

    LOCAL: ClassVar[bool] = True
    model: Literal["measured"] = "measured"

    def layer_time_s(self, layer: Layer, device: Processor) -> float:
        """The layer's `t_local_s`."""
        return local_time_s(layer)


MODEL = Measured
