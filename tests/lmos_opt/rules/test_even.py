"""Even shares, beside all cuts of the order."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from lmos_opt import Instance
from lmos_opt.rules.even import by_layers, by_time
from tests.lmos_opt.documents import path_data, placed
from tests.lmos_opt.test_places import along


def longest(instance: Instance, numbers: tuple[int, ...] | list[int]) -> float:
    ends = [0, *numbers, len(instance.layers)]
    return max(sum(layer.t_s[p] for layer in instance.layers[ends[p] : ends[p + 1]]) for p in range(len(instance.places)))


@pytest.mark.parametrize("seed", range(30))
def test_no_cut_has_a_shorter_longest_time(seed):
    instance = along(seed, 2 + seed % 3, 9)
    all_cuts = combinations_with_replacement(range(len(instance.layers) + 1), len(instance.hops))
    found = by_time(instance)
    assert found == sorted(found)
    assert longest(instance, found) == pytest.approx(min(longest(instance, numbers) for numbers in all_cuts), rel=1e-9)


def test_shares_of_layers():
    chain = [placed(name, before, t=(1.0, 1.0, 1.0, 1.0)) for name, before in zip("abcdefgh", ("input", *"abcdefg"), strict=True)]
    assert by_layers(Instance.from_dict(path_data(*chain, rates=(1.0, 1.0, 1.0)))) == [2, 4, 6]
    assert by_time(Instance.from_dict(path_data(*chain, rates=(1.0, 1.0, 1.0)))) == [2, 4, 6]
