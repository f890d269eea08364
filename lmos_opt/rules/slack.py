"""`slack:PERCENT`: the most edge memory within PERCENT over the least latency."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from lmos_opt.rules import Rule
from lmos_opt.rules.moving import MovingFront, Polynomial, combined
from lmos_opt.rules.values import latency_name, most_memory, values
from lmos_opt.units import parse_percent

if TYPE_CHECKING:
    from lmos_opt.front import Front


def _choose(front: Front, argument: str) -> int:
    most = min(values(front, latency_name(front))) * (1 + parse_percent(argument) / 100)
    return most_memory(front, most, f"slack {argument} %")


def _changes(moving: MovingFront, argument: str) -> list[Polynomial]:
    """Each point's latency less so many times the least."""
    most = 1 + Fraction(parse_percent(argument)) / 100
    return [combined((1, line), (-most, moving.latencies[0])) for line in moving.latencies]


RULE = Rule("slack", _choose, lambda argument: f"the most edge memory within {parse_percent(argument):g} % over the least latency",
            _changes, "PERCENT", takes_latency=True, rank=6)
