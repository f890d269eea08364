"""`knee`."""

from __future__ import annotations

from fractions import Fraction

from lmos_opt.rules import ideal
from lmos_opt.rules.knee import RULE
from lmos_opt.rules.moving import MovingFront
from tests.lmos_opt.rules.points import choice


def test_the_point_farthest_from_the_line_through_the_ends_on_the_ideal_points_side():
    assert choice(RULE) == 1  # scaled costs add up to 1, 11/28, 31/56, 1
    assert choice(RULE, [(0.0, 0), (5.0, 9), (9.0, 1), (10.0, 10)]) == 1, "not the one far off on the other side"


def test_where_no_point_lies_on_that_side_it_is_the_ideal_rules_point():
    hollow = [(0.0, 0), (6.0, 1), (9.0, 5), (10.0, 10)]
    assert choice(RULE, hollow) == choice(ideal.RULE, hollow)
    assert choice(RULE, [(1.0, 5)]) == 0


def test_it_changes_where_the_chosen_one_is_on_the_line_or_another_one_as_far():
    """Scaled at s: (0, 1), (s, 1/4), (1/2, 1/8), (1, 0); sums 1, s + 1/4, 5/8, 1: equal at s = 3/8, on the line at 3/4."""
    lines = ((Fraction(0), Fraction(0)), (Fraction(0), Fraction(1)), (Fraction(1, 2), Fraction(0)), (Fraction(1), Fraction(0)))
    assert RULE.changes is not None
    polynomials = RULE.changes(MovingFront(lines, (0, 6, 7, 8), Fraction(1, 4), 1), "")
    zeros = {round(float(-c0 / c1), 9) for c0, c1 in polynomials if c1}
    assert zeros == {0.375, 0.75}
