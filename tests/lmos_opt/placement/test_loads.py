from itertools import pairwise

import numpy as np
import pytest

from lmos_opt.placement.blocks import Blocks, Tensor
from lmos_opt.placement.down_sets import down_sets
from lmos_opt.placement.loads import LeastLoad
from tests.lmos_opt.placement.graphs import least_by_looking, load_at, random_blocks


def problem(blocks):
    return LeastLoad(blocks, down_sets(blocks.needs, 1000))


def test_least_loads_are_those_of_every_chain_of_down_sets():
    for seed in range(120):
        blocks = random_blocks(seed, 6)
        truth = least_by_looking(blocks)
        found = problem(blocks).least(np.inf)
        assert found.load_s == pytest.approx(truth, rel=1e-11, abs=1e-12)
        chain = [0, *found.upto, blocks.everything]
        assert all(a & ~b == 0 for a, b in pairwise(chain))
        loads = [load_at(blocks, p, *ends) for p, ends in enumerate(pairwise(chain))]
        assert max(loads) == pytest.approx(truth, rel=1e-11, abs=1e-12)


def test_a_limit_below_the_least_load_is_proved_and_one_above_changes_nothing():
    for seed in range(60):
        one = problem(random_blocks(seed, 6))
        least = one.least(np.inf).load_s
        assert one.bound_s <= least * (1 + 1e-12)
        assert one.least(least * (1 + 1e-9) + 1e-12).load_s == least
        if least > 0:
            assert one.least(least * (1 - 1e-9)) is None


def test_a_tensor_counts_once_where_it_is_made_and_once_where_it_is_read():
    blocks = Blocks(np.array([[1.0, 1.0, 1.0]] * 3), (0, 1, 1), (Tensor(1, 0b110, 10.0),))
    assert load_at(blocks, 0, 0, 1) == 11.0
    assert problem(blocks).least(np.inf).load_s == 3.0
    cheap = Blocks(blocks.times, blocks.needs, (Tensor(1, 0b110, 0.5),))
    assert problem(cheap).least(np.inf).load_s == 1.5


def test_a_search_ends_where_it_is_told_to():
    def ended():
        raise TimeoutError

    blocks = Blocks(np.ones((3, 4)), (0, 1, 2, 4), ())
    with pytest.raises(TimeoutError):
        problem(blocks).least(np.inf, ended)


def test_nothing_to_do_takes_no_time():
    assert problem(Blocks(np.zeros((2, 1)), (0,), ())).least(np.inf).load_s == 0.0
