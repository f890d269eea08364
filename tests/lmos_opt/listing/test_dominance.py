"""What is left of many vectors, beside every pair of them."""

import random

import numpy as np
import pytest

from lmos_opt.listing import dominance
from lmos_opt.listing.dominance import apart, may_be_best


def vectors(seed, p):
    rng = random.Random(seed)
    return np.array([[rng.choice([rng.randint(0, 4), 4 * rng.random()]) for _ in range(40)] for _ in range(p)])


def best(costs):
    """The distinct vectors that no other dominates."""
    found = {tuple(column) for column in costs.T}
    return {a for a in found if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in found)}


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_exact_numbers_leave_each_best_vector_once(p, monkeypatch):
    monkeypatch.setattr(dominance, "CHUNK", 7)
    for seed in range(40):
        costs = vectors(seed, p)
        found = costs[:, may_be_best(costs, np.zeros(p))]
        assert len(found.T) == len({tuple(one) for one in found.T})
        assert {tuple(one) for one in found.T} == best(costs)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_numbers_that_are_off_lose_no_best_vector(p):
    """The true numbers are anywhere within what the known ones are off."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        true = vectors(seed, p)
        off = np.array([0.0 if k == seed % 3 else 0.05 for k in range(p)])
        known = true + rng.uniform(-1, 1, true.shape) * off[:, None]
        left = {tuple(one) for one in true[:, may_be_best(known, off)].T}
        assert best(true) <= left
        assert len(left) < 40 or p == 3


def test_of_equal_ones_the_first_is_kept():
    costs = np.array([[1.0, 1.0 + 1e-12, 1.0 + 3e-12, 2.0], [5.0, 5.0, 5.0, 1.0]])
    assert apart(costs, np.array([2e-12, 0.0]), np.arange(4)).tolist() == [0, 2, 3]
    assert apart(costs, np.array([2e-12, 0.0]), np.array([3, 1, 0, 2])).tolist() == [1, 2, 3]
    assert apart(costs, np.zeros(2), np.arange(4)).tolist() == [0, 1, 2, 3]
