"""A program as arrays: which vectors satisfy it, how far forms move, what is too fine to be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.lmos_opt.algorithms.arrays import binaries, form

X = np.array([1.0, 0.0])


def test_a_forms_value_is_correctly_rounded():
    assert form(1e16, 1.0, constant=-1e16).at(np.ones(2)) == 1.0
    assert (-form(2, -3, constant=4)).at(np.ones(2)) == -3


def test_a_broken_row_or_bound_is_named():
    milp = binaries(2, (1, 1), 1)
    assert milp.satisfied(X)
    assert milp.broken(X) is None
    assert milp.broken(np.zeros(2)) == "constraint needed"
    assert milp.broken(np.array([2.0, 0.0])) == "a bound of variable x0"
    assert replace(milp, row_names=()).broken(np.zeros(2)) == "constraint 0"


def test_whole_rows_hold_to_a_part_of_their_granule_and_real_ones_to_a_share_of_what_they_add_up():
    assert not binaries(2, (1e-6, 1), 1 + 1e-6).satisfied(np.array([0.0, 1.0])), "a millionth is its granule"
    root = 2**0.5
    assert binaries(2, (root, 1 / 3), root * (1 + 1e-10)).satisfied(X), "rounding"
    assert not binaries(2, (root, 1 / 3), root * (1 + 1e-8)).satisfied(X)


def test_how_far_a_form_moves():
    milp = replace(binaries(2), upper=np.array([3.0, np.inf]))
    assert milp.spread(form(-2, 5)) == 11, "a variable without a bound counts as one unit"
    assert milp.spread(form()) == 0


def test_rows_are_scaled_so_that_none_moves_by_more_than_asked_and_hold_for_the_same_vectors():
    milp = binaries(2, (1e6, 1e-3), 1e6)
    scaled = milp.scaled(1e4)
    assert scaled.spread(scaled.rows[0]) == pytest.approx(1e4)
    evenly = milp.spread_evenly(1e4)
    factor = evenly.rows[0].coefficients[0] / 1e6
    assert np.log2(factor) == round(np.log2(factor)), "powers of two lose no digit"
    for x in (np.zeros(2), X, np.ones(2)):
        assert milp.satisfied(x) == scaled.satisfied(x) == evenly.satisfied(x)


def test_a_term_finer_than_its_row_holds_to_is_named():
    assert binaries(2, (2**0.5, 1 / 3), 1).fine_term() is None
    found = binaries(2, (2**0.5, 1e-12 / 3), 1).fine_term()
    assert found is not None
    assert found.startswith("constraint needed: its term 3.33333e-13 * x1 is finer than what the constraint holds to")
    assert binaries(2, (2**0.5, 1e-12 / 3), -np.inf).fine_term() is None, "a row without sides holds for everything"


def test_what_kind_of_columns_there_are():
    assert binaries(3).is_binary
    assert not replace(binaries(3), upper=np.array([1.0, 1.0, 2.0])).is_binary
    mixed = replace(binaries(3), integer=np.array([True, False, True]))
    assert mixed.integer_columns.tolist() == [0, 2]
