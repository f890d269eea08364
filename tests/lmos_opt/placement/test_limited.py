"""The sets under a limit, beside all down-sets; and what is proved from them alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lmos_opt.placement.down_sets import down_sets, number
from lmos_opt.placement.limited import Limited
from lmos_opt.placement.merging import reduced
from lmos_opt.placement.searching import along_one_order, under_limits
from tests.lmos_opt.placement.graphs import least_by_looking, load_at, random_blocks


def border_s(blocks, inside):
    return sum(one.seconds for one in blocks.tensors if one.makers & inside and one.readers & ~inside)


def least_limit(blocks, inside):
    """Under which limit a place may end at a set."""
    k, border = len(blocks.times), border_s(blocks, inside)
    is_in = np.array([bool(inside >> v & 1) for v in range(len(blocks.needs))])
    return min(max((blocks.times[:h].min(axis=0)[is_in].sum() + border) / h,
                   (blocks.times[h:].min(axis=0)[~is_in].sum() + border) / (k - h)) for h in range(1, k))  # fmt: skip


def test_every_set_that_fits_under_the_limit_is_there_and_few_others():
    left_out = 0
    for seed in range(20):
        blocks = random_blocks(seed, 7)
        every = down_sets(blocks.needs, 1000)
        for limit in (along_one_order(blocks).load_s, least_by_looking(blocks), 0.8 * least_by_looking(blocks)):
            found = {number(one) for one in Limited(blocks).sets(limit, 10_000).T}
            need = {number(one): least_limit(blocks, number(one)) for one in every.T}
            assert found <= need.keys()
            assert {inside for inside, least in need.items() if least <= limit} <= found
            assert all(need[inside] <= limit * (1 + 1e-8) for inside in found - {0, blocks.everything})
            left_out += every.shape[1] - len(found)
    assert left_out > 50


def test_more_sets_than_may_be_looked_at_are_none():
    blocks = random_blocks(3, 7)
    assert Limited(blocks).sets(100 * along_one_order(blocks).load_s, 3) is None


@pytest.mark.parametrize("merged", [False, True])
def test_the_answer_from_limits_is_the_least_and_what_is_proved_never_above_it(merged):
    for seed in range(30):
        blocks = random_blocks(seed, 6)
        blocks = reduced(blocks).blocks if merged else blocks
        truth = least_by_looking(blocks)
        *_, last = steps = [*under_limits(blocks, along_one_order(blocks), lambda: None, 10_000)]
        assert last.bound_s == last.placed.load_s == pytest.approx(truth, rel=1e-11, abs=1e-12)
        assert all(step.bound_s <= truth * (1 + 1e-11) + 1e-12 for step in steps)
        chain = [0, *last.placed.upto, blocks.everything]
        assert max(load_at(blocks, p, *ends) for p, ends in enumerate(pairwise(chain))) == pytest.approx(truth, abs=1e-12)


def test_few_sets_prove_something_or_nothing_but_nothing_wrong():
    open_ones = 0
    for seed in range(30):
        blocks = random_blocks(seed, 7)
        *_, last = under_limits(blocks, along_one_order(blocks), lambda: None, 6)
        truth = least_by_looking(blocks)
        assert last.bound_s <= truth * (1 + 1e-11) + 1e-12
        assert last.placed.load_s >= truth * (1 - 1e-11) - 1e-12
        open_ones += last.bound_s < last.placed.load_s
    assert open_ones
