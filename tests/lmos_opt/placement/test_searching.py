from itertools import pairwise

import pytest

from lmos_opt.placement.down_sets import down_sets
from lmos_opt.placement.searching import along_one_order, least_loads, nearer
from tests.lmos_opt.placement.graphs import least_by_looking, load_at, random_blocks


def test_what_is_proved_rises_to_what_is_found():
    for seed in range(60):
        blocks = random_blocks(seed, 6)
        steps = [*least_loads(blocks, down_sets(blocks.needs, 1000), along_one_order(blocks), lambda: None)]
        truth = least_by_looking(blocks)
        bounds, loads = [step.bound_s for step in steps], [step.placed.load_s for step in steps]
        assert bounds == sorted(bounds)
        assert loads == sorted(loads, reverse=True)
        assert bounds[-1] == loads[-1] == pytest.approx(truth, rel=1e-11, abs=1e-12)
        assert all(bound <= truth * (1 + 1e-11) + 1e-12 for bound in bounds)


def test_sets_near_the_order_lead_to_better_answers_and_to_none_below_the_least():
    better = 0
    for seed in range(60):
        blocks = random_blocks(seed, 6)
        first = along_one_order(blocks)
        loads = [first.load_s, *(placed.load_s for placed in nearer(blocks, first))]
        assert loads == sorted(loads, reverse=True)
        assert loads[-1] == pytest.approx(least_by_looking(blocks), rel=1e-11, abs=1e-12)  # these few sets are all near
        better += len(loads) > 1
    assert better


def test_an_answer_found_in_another_order_is_one_of_the_blocks():
    for seed in range(60):
        blocks = random_blocks(seed, 6)
        for placed in nearer(blocks, along_one_order(blocks)):
            chain = [0, *placed.upto, blocks.everything]
            assert all(a & ~b == 0 for a, b in pairwise(chain))
            loads = [load_at(blocks, p, *ends) for p, ends in enumerate(pairwise(chain))]
            assert max(loads) == pytest.approx(placed.load_s, rel=1e-11, abs=1e-12)
