"""The estimate of a link: the median of what exchanges tell, and bounds where they tell no more."""

from __future__ import annotations

import pytest

from runner.adaptation.estimate import KEPT, LEAST_NOISE_S, LinkEstimate


def calibrated(*empty_s: float) -> LinkEstimate:
    found = LinkEstimate()
    found.calibrate(empty_s or (0.01, 0.01, 0.01))
    return found


def test_nothing_is_known_before_the_first_exchange():
    assert calibrated().bandwidth_bytes_per_s is None


def test_a_long_exchange_tells_the_rate():
    found = calibrated().observe(100_000, 0.11, False)
    assert found.bandwidth_bytes_per_s == pytest.approx(1e6)
    assert not found.is_a_bound


def test_a_short_one_is_a_bound_that_counts_only_above_what_is_known():
    link = calibrated()
    first = link.observe(100, 0.0101, True)
    assert first.is_a_bound
    assert first.bandwidth_bytes_per_s == pytest.approx(100 / (0.0001 + 2 * LEAST_NOISE_S))
    assert link.observe(100, 0.0101, True) is None
    assert link.observe(0, 5.0, True) is None


def test_two_that_are_off_change_nothing_and_three_that_agree_do():
    link = calibrated()
    for rate in (1e6, 1e6, 1e6, 1e5, 1e5):
        link.observe(100_000, 0.01 + 100_000 / rate, False)
    assert link.bandwidth_bytes_per_s == pytest.approx(1e6)
    link.observe(100_000, 0.01 + 1.0, False)
    assert link.bandwidth_bytes_per_s == pytest.approx(1e5)
    assert len(link.latest(2 * KEPT)) == KEPT
    link.forget_all_but(1)
    assert [one.bandwidth_bytes_per_s for one in link.latest(KEPT)] == pytest.approx([1e5])


def test_noise_is_how_far_empty_exchanges_lie_apart_without_the_one_that_was_held_up():
    assert calibrated(0.01, 0.015, 0.01, 9.0).noise_s == pytest.approx(0.0025)
    assert calibrated(0.01, 0.01, 9.0).noise_s == LEAST_NOISE_S


def test_how_many_bytes_tell_enough():
    link = calibrated()
    link.observe(100_000, 0.11, False)
    assert link.telling_bytes(1e9) == int(8 * LEAST_NOISE_S * link.bandwidth_bytes_per_s)
    assert link.telling_bytes(1e5) == 800
    assert link.enough_bytes(1e6) == 4000
