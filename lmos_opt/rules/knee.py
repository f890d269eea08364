"""`knee`: the point that lies farthest from the straight line through the front's ends, on the side of the ideal point.

Scaled, the ends of two objectives are (0, 1) and (1, 0), and the line is that of the points whose coordinates add up to 1.
With more objectives it is the plane of such points, through the unit points.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from lmos_opt.rules import Rule, ideal
from lmos_opt.rules.moving import MovingFront, Polynomial, beside_the_chosen, combined
from lmos_opt.rules.values import scaled

if TYPE_CHECKING:
    from lmos_opt.front import Front

ON_THE_LINE = 1e-12
"""A point whose scaled costs add up to 1 less this, or to more, does not lie on the ideal point's side: rounding moves the
sums of a front that is one straight line by less."""


def _choose(front: Front, argument: str) -> int:
    """Farthest on the ideal point's side; where none lies there, `ideal`'s."""
    sums = [sum(row) for row in scaled(front)]
    if not sums or min(sums) >= 1 - ON_THE_LINE:
        return ideal.RULE.choose(front, argument)
    return min(range(len(sums)), key=lambda k: sums[k])


def _changes(moving: MovingFront, _: str) -> list[Polynomial]:
    """Latency and memory, both scaled, less what is on the line, times the spread: below zero on the ideal point's side."""
    if moving.chosen is None or len(moving.latencies) < 3:
        return []
    spread = moving.spread
    sides = [combined((1, over), (missing - 1 + Fraction(ON_THE_LINE), spread))
             for over, missing in zip(moving.over_least, moving.missing, strict=True)]
    if any(c0 + c1 * moving.s < 0 for c0, c1 in sides):
        return [sides[moving.chosen], *beside_the_chosen(sides, moving.chosen)]
    return [*sides, *ideal.changes(moving, "")]


RULE = Rule("knee", _choose, lambda _: "farthest from the line through the front's ends on the ideal point's side, all objectives "
                                       "scaled to [0, 1]; nearest to the ideal point where no point lies on that side",
            _changes, rank=2)
