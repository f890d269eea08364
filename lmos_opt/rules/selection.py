"""The point of a front that a selection rule chooses, by the rule's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt import rules
from lmos_opt.errors import InfeasibleError
from lmos_opt.rules.values import latency_name

if TYPE_CHECKING:
    from lmos_opt.front import Front, Point

RULES = tuple(rule.written for rule in rules.shipped())
"""How users write the shipped rules, in the order of lists."""


def latency_taken(front: Front, rule: str) -> str | None:
    """The objective from which the rule took its latency, if that is not `latency`; None if it is, or if the rule needs none."""
    if not rules.get(rule)[0].takes_latency:
        return None
    name = latency_name(front)
    return None if name == "latency" else name


def select(front: Front, rule: str) -> Point:
    """The chosen point; of equal ones the first in the front's order. See `Front.select`."""
    found, argument = rules.get(rule)
    if not front.points:
        raise InfeasibleError(front.instance, ("the front has no point to select",))
    return front.points[found.choose(front, argument)]
