"""This machine's times, scaled to a device by what micro-benchmarks measured of both.

A layer's time is divided into one for its multiply-accumulates and one for its bytes, in the proportion that this machine's two
rates give. Each part is scaled by the ratio of the two machines' rates. An operation without either (a view, a call) is scaled as
computing. Two numbers cannot describe the kernels of another library.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from lmos_opt.costs import CostModel, Layer, Processor, Rates, local_time_s, work_of
from lmos_opt.files import Name


class Scaled(CostModel):
    """The rates of the machine that timed the profile (`here`, whose name is `machine`), and of the device (`there`)."""

    LOCAL: ClassVar[bool] = True
    model: Literal["scaled"] = "scaled"
    machine: Name
    here: Rates
    there: Rates

    def layer_time_s(self, layer: Layer, device: Processor) -> float:
        """The measured time with its two parts scaled; InputError if the profile has no times, or not the layers' work."""
        work = work_of(layer, device)
        computing = sum(one.macs for one in work) / self.here.macs_per_s
        moving = sum(one.bytes for one in work) / self.here.bytes_per_s
        share = computing / (computing + moving) if computing + moving > 0 else 1.0
        slower = share * self.here.macs_per_s / self.there.macs_per_s + (1 - share) * self.here.bytes_per_s / self.there.bytes_per_s
        return local_time_s(layer) * slower


MODEL = Scaled
