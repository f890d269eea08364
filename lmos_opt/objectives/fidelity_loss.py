"""How much of the network's result is lost because of the codecs of crossing tensors: the sum of `loss[u, c]` over these tensors,
each once.

Losses are fractions, measured for one tensor at a time. If several cross at once, the sum is an estimate.
"""

from __future__ import annotations

from math import fsum
from typing import Any

from lmos_opt.errors import InputError
from lmos_opt.formulation import add_block
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.split import Split


def _check(instance: Instance) -> None:
    where = "objective fidelity_loss"
    if instance.coding is not None:
        raise InputError(where, f"the coding of {instance.name} does not say what is lost; expected codecs with losses")
    if not instance.codecs:
        raise InputError(where, f"{instance.name} has no codecs to choose among; expected some, with their losses")


def _expression(m: Any, instance: Instance) -> Any:
    _check(instance)
    if not instance.chosen_among:
        return 0.0 * m.offload[1]
    add_block(m, instance, "chosen_codecs")
    return sum(choice.loss * m.codec[u, choice.name] for u in instance.chosen_among for choice in instance.codecs[u])


def _value(split: Split) -> float:
    _check(split.instance)
    return fsum(split.instance.codecs[u][0].loss for u in split.codecs)


OBJECTIVE = Objective("fidelity_loss", "", "min", _expression, _value)
expression = OBJECTIVE.expression
