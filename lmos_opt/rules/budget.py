"""`budget:SECONDS`: the most edge memory within a latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt.rules import Rule
from lmos_opt.rules.moving import MovingFront, Polynomial, combined, constant
from lmos_opt.rules.values import most_memory
from lmos_opt.units import format_time, parse_time

if TYPE_CHECKING:
    from lmos_opt.front import Front


def _choose(front: Front, argument: str) -> int:
    return most_memory(front, parse_time(argument, "budget"), f"latency budget {argument}")


def _changes(moving: MovingFront, argument: str) -> list[Polynomial]:
    """Each point's latency less the budget."""
    return [combined((1, line), (-1, constant(parse_time(argument)))) for line in moving.latencies]


RULE = Rule("budget", _choose, lambda argument: f"the most edge memory within a latency of {format_time(parse_time(argument))}",
            _changes, "SECONDS", takes_latency=True, rank=5)
