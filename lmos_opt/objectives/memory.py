"""Edge memory, equation (5), to be used as far as it goes (the paper maximises it), under the chosen memory model."""

from __future__ import annotations

from math import gcd

from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective


def _granule(instance: Instance) -> float:
    """Both memory models add up whole sizes, so every difference is a multiple of what divides them all."""
    sizes = [n for layer in instance.layers for n in (layer.weight_bytes, layer.output_bytes)]
    return gcd(*instance.inputs.values(), *sizes) or 1


OBJECTIVE = Objective("memory", "B", "max", lambda m, inst: m.memory, lambda split: split.memory_bytes, _granule)
