"""Time a token of a decoder's, after a text of the instance's context: the latency of one token, over the same places."""

from __future__ import annotations

from typing import Any

from lmos_opt.formulation.stages import stages
from lmos_opt.instance import Instance
from lmos_opt.listing.splits import Listed, Splits
from lmos_opt.listing.sums import total
from lmos_opt.objectives import Objective
from lmos_opt.split import Split


def _expression(m: Any, instance: Instance) -> Any:
    return sum(stages(m, instance.of_token))


def _value(split: Split) -> float:
    return Split.of(split.instance.of_token, split.upto).times.latency_s


def _each(splits: Splits) -> Listed:
    return splits.listed(total(splits.of_another(splits.instance.of_token).stages))


OBJECTIVE = Objective("tpot", "s", "min", _expression, _value, each=_each)
expression = OBJECTIVE.expression
