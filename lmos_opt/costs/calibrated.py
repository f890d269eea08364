"""A line for each kind of operation, fitted to the measured times of a machine.

    t = fixed_s * operations + s_per_mac * macs + s_per_byte * bytes

summed over the kinds in a layer. This is the regression of Neurosurgeon (Kang et al., ASPLOS 2017: a model for each type of layer)
on the two quantities of the roofline model (Williams et al., CACM 2009), as a sum and not as their maximum: sums stay linear, and
the time of a block is the sum of the times of its parts. No coefficient is negative, so more work never takes less time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lmos_opt.costs import CostModel, Layer, Processor, Work, work_of
from lmos_opt.files import Amount, Count, Name, Record, Text


class Fit(Record):
    """Seconds for each operation, for each of its multiply-accumulates, for each byte it moves."""

    fixed_s: Amount
    s_per_mac: Amount
    s_per_byte: Amount

    def seconds(self, work: Work) -> float:
        """The time of some operations of one kind."""
        return self.fixed_s * work.operations + self.s_per_mac * work.macs + self.s_per_byte * work.bytes


class HeldOut(Record):
    """Relative errors of whole groups of layers (networks, micro-benchmarks), each predicted by lines fitted without it."""

    groups: Count
    median: Amount
    worst: Amount
    what: Text


class Calibrated(CostModel):
    """Lines by kind of operation, `other` for kinds that no measured layer had, and their errors (None: not known)."""

    model: Literal["calibrated"] = "calibrated"
    kinds: Annotated[dict[Name, Fit], Field(min_length=1)]
    other: Fit
    held_out: HeldOut | None = None

    def layer_time_s(self, layer: Layer, device: Processor) -> float:
        """The sum over the layer's operations; InputError if the profile does not have them."""
        return sum(self.kinds.get(work.kind, self.other).seconds(work) for work in work_of(layer, device))


MODEL = Calibrated
