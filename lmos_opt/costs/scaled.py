"""This machine's times, stretched to a device by what micro-benchmarks found of both.

A layer's time is parted into one for its multiply-accumulates and one for its bytes, in the proportion in which this
machine's two rates say they take it; each part is stretched by the ratio of the two machines' rates. What does neither
(a view, a call) goes with the processor. As good as two numbers can be: it knows nothing of another library's kernels.
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
        """The measured time, its two parts stretched; InputError where the profile has no times, or not what layers do."""
        work = work_of(layer, device)
        computing = sum(one.macs for one in work) / self.here.macs_per_s
        moving = sum(one.bytes for one in work) / self.here.bytes_per_s
        share = computing / (computing + moving) if computing + moving > 0 else 1.0
        slower = share * self.here.macs_per_s / self.there.macs_per_s + (1 - share) * self.here.bytes_per_s / self.there.bytes_per_s
        return local_time_s(layer) * slower


MODEL = Scaled
