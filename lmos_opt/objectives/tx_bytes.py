"""Bytes that cross to the server, each tensor once: the numerator of equation (2)."""

from __future__ import annotations

from math import gcd
from typing import Any

from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective


def _expression(m: Any, instance: Instance) -> Any:
    return sum(instance.tensor_bytes(name) * m.sent[name] for name in m.sent)


def _granule(instance: Instance) -> float:
    return gcd(instance.input_bytes, *(layer.output_bytes for layer in instance.layers)) or 1


OBJECTIVE = Objective("tx_bytes", "B", "min", _expression, lambda split: split.times.crossing_bytes, _granule)
