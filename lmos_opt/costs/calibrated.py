"""A line per kind of operation, fitted to times that a machine was measured to take.

    t = fixed_s * operations + s_per_mac * macs + s_per_byte * bytes

summed over the kinds in a layer. That is the regression of Neurosurgeon (Kang et al., ASPLOS 2017: a model per type of
layer) on the two quantities of the roofline model (Williams et al., CACM 2009), as a sum, not as their maximum: sums stay
linear, and what a block takes is what its parts take. No coefficient is negative, so more work never takes less time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lmos_opt.costs import CostModel, Layer, Processor, Work, work_of
from lmos_opt.files import Amount, Count, Name, Record, Text


class Fit(Record):
    """Seconds of each operation, of each of its multiply-accumulates, of each byte it moves."""

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
    """Lines by kind of operation, `other` for kinds that no measured layer had, and how far they were off (None: not known)."""

    model: Literal["calibrated"] = "calibrated"
    kinds: Annotated[dict[Name, Fit], Field(min_length=1)]
    other: Fit
    held_out: HeldOut | None = None

    def layer_time_s(self, layer: Layer, device: Processor) -> float:
        """The sum over what the layer does; InputError where the profile does not say what that is."""
        return sum(self.kinds.get(work.kind, self.other).seconds(work) for work in work_of(layer, device))


MODEL = Calibrated
