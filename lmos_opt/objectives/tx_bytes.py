"""Bytes that cross to the server, each tensor once: the numerator of equation (2)."""

from __future__ import annotations

from math import gcd
from typing import Any

from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective


def _expression(m: Any, instance: Instance) -> Any:
    return sum(instance.sent_bytes(name) * m.sent[name] for name in m.sent)


def _granule(instance: Instance) -> float:
    return gcd(*(instance.sent_bytes(name) for name in instance.tensors)) or 1


OBJECTIVE = Objective("tx_bytes", "B", "min", _expression, lambda split: split.times.crossing_bytes, _granule)
