"""Measures of a quantity over scenarios: a quantile, the mean of the worst, the mean, the worst.

`latency@p95` is the least value that at least 95 % of the weight does not exceed. `latency@cvar95` is the mean of the worst 5 % of
the weight; the scenario at the boundary counts in part. The others are `latency@mean` and `latency@worst`. In the program a
quantile has a binary for each scenario, and the mean of the worst is linear: R. T. Rockafellar and S. Uryasev, "Optimization of
Conditional Value-at-Risk", 2000.
"""

from __future__ import annotations

import re
from fractions import Fraction

from lmos_opt.errors import InputError
from lmos_opt.measures.measure import Measure
from lmos_opt.measures.quantile import Quantile
from lmos_opt.measures.tail_mean import TailMean

MEASURES = "pNN, cvarNN, mean, worst"


def parse(name: str, text: str) -> Measure:
    """The measure of an objective's name after `@`: `p95`, `cvar95`, `mean`, `worst`; InputError for anything else."""
    if text in ("mean", "worst"):
        return TailMean(Fraction(1)) if text == "mean" else Quantile(Fraction(1))
    found = re.fullmatch(r"(p|cvar)([0-9]{1,3}(\.[0-9]{1,12})?)", text)
    if found is not None:
        part = Fraction(found[2]) / 100
        if found[1] == "p" and 0 < part <= 1:
            return Quantile(part)
        if found[1] == "cvar" and part < 1:
            return TailMean(1 - part)
    raise InputError("objectives", f"{name}@{text:.40}: {text!r:.40} is no measure of scenarios; expected {MEASURES}, such as p95 "
                                   "(above 0, up to 100) or cvar95 (from 0, below 100)")  # fmt: skip
