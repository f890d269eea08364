"""How costs are scaled, and where bounds are put beside values."""

from __future__ import annotations

import numpy as np
import pytest

from lmos_opt.algorithms.scaling import LOOSE_RESOLUTION, RESOLUTION, SPREAD, STEP, scale_of
from lmos_opt.programs.milp import Milp
from tests.lmos_opt.algorithms.arrays import binaries, form


def test_whole_multiples_are_bounded_half_a_granule_beside_a_value():
    scale = scale_of(binaries(2), form(3, 6), None, True, None)
    assert scale.granule == 3
    assert scale.factor == pytest.approx(1 / 3)
    assert scale.row_bound(6, strict=True) == pytest.approx((6 - 1.5) / 3)
    assert scale.row_bound(6, strict=False) == pytest.approx((6 + 1.5) / 3)
    assert scale.gap == pytest.approx(0.75)


def test_the_spread_of_a_large_cost_is_scaled_to_the_most():
    scale = scale_of(binaries(2), form(1, 1e9), None, True, None)
    assert scale.factor * (1 + 1e9) == pytest.approx(SPREAD)


def test_real_values_are_bounded_a_step_below():
    scale = scale_of(binaries(2), form(2**0.5, 1 / 3), None, True, None)
    assert scale.granule is None
    assert scale.resolution * scale.factor == pytest.approx(RESOLUTION)
    assert scale.row_bound(1, strict=True) == pytest.approx(scale.factor - STEP)
    assert scale.row_bound(1, strict=False) == pytest.approx(scale.factor + RESOLUTION)


def test_a_granule_that_is_known_is_taken_and_a_step_that_is_asked_for_replaces_it():
    cost = form(2**0.5, 1 / 3)
    assert scale_of(binaries(2), cost, 0.25, True, None).granule == 0.25
    asked = scale_of(binaries(2), cost, 0.25, True, 0.5)
    assert (asked.granule, asked.step) == (None, 0.5)


def test_a_constant_is_no_part_of_a_rows_bound():
    assert scale_of(binaries(1), form(1, constant=100), None, True, None).row_bound(100, strict=False) == pytest.approx(0.5)


def test_continuous_columns_have_a_coarser_resolution():
    milp = Milp("toy", ("x",), np.zeros(1), np.ones(1), np.zeros(1, dtype=bool), (), np.zeros(0), np.zeros(0))
    scale = scale_of(milp, form(2**0.5), None, False, None)
    assert scale.resolution * scale.factor == pytest.approx(LOOSE_RESOLUTION)


def test_a_cost_with_one_value_has_a_bound_below_it():
    scale = scale_of(binaries(1), form(constant=1e12), None, True, None)
    assert scale.row_bound(1e12, strict=True) < 0 < scale.row_bound(1e12, strict=False)
