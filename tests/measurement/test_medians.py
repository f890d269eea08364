"""Medians: the interval holds the true one as often as it says, and what lies far off is counted and kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from measurement.medians import CONFIDENCE, median_of


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 1), (6, 1), (8, 1), (9, 2), (12, 3), (20, 6), (40, 14), (100, 40),
                                     (10_000, 4902), (50_000, 24_781)])
def test_the_ends_are_the_published_order_statistics(n, k):
    """Ranks for 95 % as in Conover's table A3 and Hahn and Meeker's: the k-th smallest and the k-th largest."""
    found = median_of(range(1, n + 1))
    assert (found.low, found.high) == (k, n + 1 - k)


@pytest.mark.parametrize("n", [6, 11, 40])
@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential", "standard_cauchy"])
def test_the_interval_holds_the_true_median_as_often_as_it_says(n, draw):
    rng = np.random.default_rng(7)
    samples = getattr(rng, draw)((4000, n))
    truth = math.log(2) if draw == "standard_exponential" else 0.0
    held = sum(found.low <= truth <= found.high for found in map(median_of, samples.tolist())) / len(samples)
    assert held >= CONFIDENCE - 0.01


def test_outliers_are_counted_and_kept():
    quiet = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01]
    assert median_of(quiet).outliers == 0
    found = median_of([*quiet, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert found.outliers == 5
    assert found.value == pytest.approx((1.01 + 1.02) / 2)  # none was left out
    assert found.repeats == 12


def test_the_width_is_relative_and_nothing_is_sure_to_be_nothing():
    assert median_of([1.0, 2.0, 3.0]).width == 1.0
    assert median_of([0.0, 0.0, 0.0]).width == 0.0
