"""`ideal`."""

from __future__ import annotations

from fractions import Fraction

from lmos_opt.rules.ideal import RULE
from lmos_opt.rules.moving import MovingFront
from tests.lmos_opt.rules.points import choice


def test_the_point_nearest_to_the_ideal_point():
    assert choice(RULE) == 1  # scaled distances 1, 0.288, 0.446, 1
    assert choice(RULE, [(1.0, 5)]) == 0
    assert choice(RULE, [(0.0, 0), (1.0, 6), (4.0, 9), (10.0, 10)]) == 1, "the first of two that are equally near"


def test_it_changes_where_two_points_are_equally_near():
    """Scaled at s: (0, 1), (s, 1/4), (1, 0). The middle one is nearest while s^2 + 1/16 < 1."""
    lines = ((Fraction(0), Fraction(0)), (Fraction(0), Fraction(1)), (Fraction(1), Fraction(0)))
    assert RULE.changes is not None
    polynomials = RULE.changes(MovingFront(lines, (0, 6, 8), Fraction(1, 2), 1), "")
    for c0, c1, c2 in polynomials:
        assert (c0, c1, c2) == (Fraction(15, 16), 0, -1)
    assert RULE.changes(MovingFront(lines[:2], (0, 6), Fraction(1), 0), "") == [], "two points are equally near for ever"
