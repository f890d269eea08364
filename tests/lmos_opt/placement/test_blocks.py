import numpy as np

from lmos_opt.placement.blocks import Blocks, ones


def test_bits_and_sets():
    assert list(ones(0)) == []
    assert list(ones(1 << 70 | 5)) == [0, 2, 70]
    assert Blocks(np.zeros((2, 3)), (0, 1, 2), ()).everything == 7
