"""The point of a front that a selection rule chooses, by the rule's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt import rules
from lmos_opt.errors import InfeasibleError

if TYPE_CHECKING:
    from lmos_opt.front import Front, Point

RULES = tuple(rule.written for rule in rules.shipped())
"""How users write the shipped rules, in the order of lists."""


def select(front: Front, rule: str) -> Point:
    """The chosen point; the first of equals in the front's order. See `Front.select`."""
    found, argument = rules.get(rule)
    if not front.points:
        raise InfeasibleError(front.instance, ("the front has no point to select",))
    return front.points[found.choose(front, argument)]
