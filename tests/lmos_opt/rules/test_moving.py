"""Polynomials and the view of a moving front, by hand."""

from __future__ import annotations

from fractions import Fraction

from lmos_opt.rules.moving import MovingFront, beside_the_chosen, combined, constant, never, product

ONE, TWO = (Fraction(1), Fraction(2)), (Fraction(3), Fraction(-1))


def test_sums_and_products():
    assert combined((2, ONE), (-1, TWO)) == (-1, 5)
    assert product(ONE, TWO) == (3, 5, -2)
    assert constant(0.5) == (Fraction(1, 2), 0)


def test_a_moving_front_is_scaled_as_a_front_is():
    moving = MovingFront((ONE, (Fraction(2), Fraction(2)), (Fraction(5), Fraction(4))), (10, 40, 50), Fraction(1), 1)
    assert moving.spread == (4, 2)
    assert moving.over_least == [(0, 0), (1, 0), (4, 2)]
    assert moving.missing == [1, Fraction(1, 4), 0]
    assert never(moving, "") == []


def test_the_chosen_stays_the_least_while_no_difference_changes_its_sign():
    """1 + 2s, 3 - s and 2: the second is the least beyond s = 1."""
    assert beside_the_chosen([ONE, TWO, constant(2)], 1) == [(-2, 3), (-1, 1)]
