"""The interval of a share, against published values."""

from __future__ import annotations

from math import comb

import pytest

from lmos_opt.plans.proportion import upper_end, wilson


@pytest.mark.parametrize(("kept", "n", "low", "high"), [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
])  # fmt: skip
def test_it_is_the_one_that_newcombe_tabulates(kept: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3."""
    assert [round(end, 4) for end in wilson(kept, n)] == [low, high]
    assert [round(1 - end, 4) for end in reversed(wilson(n - kept, n))] == [low, high]


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_more_confidence_is_wider() -> None:
    assert wilson(9, 10, 0.99)[0] < wilson(9, 10)[0] < 0.9 < wilson(9, 10)[1] < wilson(9, 10, 0.99)[1]


@pytest.mark.parametrize(("count", "n", "end"), [
    (0, 299, 0.00997), (1, 225, 0.02091), (3, 10, 0.60662), (2500, 5000, 0.51173), (5, 5, 1.0), (0, 0, 1.0)])
def test_the_upper_end_is_clopper_and_pearsons(count: int, n: int, end: float) -> None:
    """As scipy's quantiles of the beta distribution have it."""
    assert upper_end(count, n) == pytest.approx(end, abs=5e-6)


def test_the_upper_end_is_exceeded_no_more_often_than_it_says() -> None:
    n, true, confidence = 60, 0.07, 0.9
    below = sum(comb(n, k) * true**k * (1 - true) ** (n - k) for k in range(n + 1) if upper_end(k, n, confidence) < true)
    assert 0.01 < below <= 1 - confidence
