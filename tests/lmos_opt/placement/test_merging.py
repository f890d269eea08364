from dataclasses import replace

import numpy as np
import pytest

from lmos_opt.placement.blocks import Blocks, Tensor
from lmos_opt.placement.down_sets import down_sets
from lmos_opt.placement.loads import LeastLoad
from lmos_opt.placement.merging import reduced
from tests.lmos_opt.placement.graphs import least_by_looking, load_at, random_blocks


def test_fewer_blocks_have_the_same_least_load_and_stand_for_sets_that_attain_it():
    fewer = 0
    for seed in range(100):
        blocks = random_blocks(seed, 6)
        smaller = reduced(blocks)
        fewer += len(smaller.blocks.needs) < len(blocks.needs)
        placed = LeastLoad(smaller.blocks, down_sets(smaller.blocks.needs, 1000)).least(np.inf)
        chain = [0, *(smaller.expanded(before) for before in placed.upto), blocks.everything]
        attained = max(load_at(blocks, p, chain[p], chain[p + 1]) for p in range(len(blocks.times)))
        assert attained == pytest.approx(least_by_looking(blocks), rel=1e-11, abs=1e-12)
        assert placed.load_s == pytest.approx(attained, rel=1e-11, abs=1e-12)
    assert fewer > 40


def chain(times, seconds):
    n = len(times)
    return Blocks(np.array([times, times]), tuple(1 << k - 1 if k else 0 for k in range(n)),
                  tuple(Tensor(1 << k, 2 << k, seconds[k]) for k in range(n - 1)))  # fmt: skip


def test_what_shrinks_a_tensor_stays_beside_the_layer_that_made_it():
    smaller = reduced(chain([5.0, 0.0, 5.0], [3.0, 1.0]))
    assert smaller.wholes == (0b011, 0b100)
    assert [tensor.seconds for tensor in smaller.blocks.tensors] == [1.0]


def test_what_makes_a_tensor_larger_stays_beside_the_layer_that_reads_it():
    assert reduced(chain([5.0, 0.0, 5.0], [1.0, 3.0])).wholes == (0b001, 0b110)


def test_what_has_time_of_its_own_is_kept():
    assert reduced(chain([5.0, 4.0, 5.0], [1.0, 3.0])).wholes == (0b001, 0b010, 0b100)


def test_a_weight_goes_with_the_first_of_its_readers():
    blocks = replace(chain([0.0, 4.0, 5.0], [0.5, 1.0]), needs=(0, 0b1, 0b11), tensors=(Tensor(1, 6, 0.5), Tensor(2, 4, 1.0)))
    smaller = reduced(blocks)
    assert smaller.wholes == (0b010, 0b100)
    assert [smaller.expanded(chosen) for chosen in (0, 1, 3)] == [0, 0b011, 0b111]
    assert Tensor(0b11, 0b11, 0.5) in smaller.blocks.tensors


def test_a_weight_of_which_readers_take_different_parts_is_kept():
    """Beside the first reader, the other's part would be sent from there, where nothing of it was needed."""
    times = np.array([[0.0, 1.0, 0.4]] * 3)
    blocks = Blocks(times, (0, 1, 0b11), (Tensor(1, 4, 0.5), Tensor(1, 2, 0.1)))
    smaller = reduced(blocks)
    assert smaller.followers == ()
    found = LeastLoad(smaller.blocks, down_sets(smaller.blocks.needs, 100)).least(np.inf)
    assert found.load_s == pytest.approx(least_by_looking(blocks)) == pytest.approx(1.1)


def test_what_is_connected_with_nothing_stays_a_block():
    assert reduced(Blocks(np.zeros((2, 2)), (0, 0), ())).wholes == (1, 2)
