"""`ideal`: the point nearest to the ideal point, all objectives scaled to [0, 1] over the front."""

from __future__ import annotations

from math import dist
from typing import TYPE_CHECKING

from lmos_opt.rules import Rule
from lmos_opt.rules.moving import MovingFront, Polynomial, beside_the_chosen, combined, product
from lmos_opt.rules.values import scaled

if TYPE_CHECKING:
    from lmos_opt.front import Front


def _choose(front: Front, _: str) -> int:
    costs = scaled(front)
    return min(range(len(costs)), key=lambda k: dist(costs[k], (0.0,) * len(costs[k])))


def changes(moving: MovingFront, _: str) -> list[Polynomial]:
    """Squared distances times the square of the spread, each less the chosen point's."""
    if moving.chosen is None or len(moving.latencies) < 3:
        return []
    square = product(moving.spread, moving.spread)
    distances = [combined((1, product(over, over)), (missing * missing, square))
                 for over, missing in zip(moving.over_least, moving.missing, strict=True)]
    return beside_the_chosen(distances, moving.chosen)


RULE = Rule("ideal", _choose, lambda _: "nearest to the ideal point, all objectives scaled to [0, 1]", changes, rank=3)
