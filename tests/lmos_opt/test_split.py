"""Where layers run, and what follows from that alone."""

from __future__ import annotations

import pytest

from lmos.bench.random_instances import with_places
from lmos_opt import InputError, Instance
from lmos_opt.split import Split, all_splits, down_closed_sets
from tests.lmos_opt.documents import chain_data, diamond_data

DIAMOND = Instance.from_dict(diamond_data())
CHAIN = Instance.from_dict(chain_data(memory_limit_bytes=12100))


def test_places_are_in_topological_order():
    split = Split(DIAMOND, frozenset({"c", "a"}))
    assert split.places == (("a", "c"), ("b", "d"))
    assert split.edge_layers == ("a", "c")


@pytest.mark.parametrize(("edge", "ordered", "proper"), [
    ("", True, False), ("ab", True, True), ("b", False, True), ("abcd", True, False),
])  # fmt: skip
def test_which_sets_are_splits(edge, ordered, proper):
    split = Split(DIAMOND, frozenset(edge))
    assert (split.is_ordered, split.is_proper) == (ordered, proper)


def test_of_three_places_a_hop_s_set_has_to_hold_the_one_before():
    instance = with_places(DIAMOND, 1, 3).replace(together=[])
    assert Split.of(instance, [frozenset("a"), frozenset("ab")]).is_ordered
    assert not Split.of(instance, [frozenset("ab"), frozenset("a")]).is_ordered


def test_the_first_place_that_exceeds_its_limit_is_named():
    assert [Split(CHAIN, frozenset(CHAIN.names[:n])).exceeds for n in range(4)] == [None, None, 1, 1]


def test_a_split_is_made_from_places_with_or_without_the_last():
    assert Split.at(DIAMOND, [("a", "b"), ("c", "d")]) == Split.at(DIAMOND, [("b", "a")]) == Split(DIAMOND, frozenset("ab"))
    with pytest.raises(InputError, match="has 2 places, not 3"):
        Split.at(DIAMOND, [(), (), ()])
    with pytest.raises(InputError, match="toy"):
        Split.at(DIAMOND, [("b",)])


def test_every_split_comes_once():
    instance = with_places(CHAIN, 1, 3)
    found = [split.upto for split in all_splits(instance)]
    assert len(found) == len(set(found)) == 10  # two cuts of a chain of three, not falling
    assert len(list(down_closed_sets(CHAIN))) == 4
