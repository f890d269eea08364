"""Where layers run: precedence, nesting, groups, and `offload`, which every row fixes."""

from __future__ import annotations

import pytest

from lmos.bench.random_instances import random_instance, with_places
from lmos_opt import Instance
from lmos_opt.split import Split, all_splits
from tests.lmos_opt.documents import diamond_data
from tests.lmos_opt.formulation.blocks import broken, is_forced, model, set_to

DIAMOND = Instance.from_dict(diamond_data())


@pytest.mark.parametrize("k", [2, 3])
def test_every_split_satisfies_the_rows_and_offload_has_no_other_value(k):
    instance = with_places(random_instance(5, 5, "dag"), 5, k)
    m = model(instance, "assignment")
    for split in all_splits(instance):
        set_to(m, split)
        assert broken(m) == []
        assert [m.offload[h].value for h in range(1, k)] == [len(before) < len(instance.layers) for before in split.upto]
        assert all(is_forced(m, m.offload[h]) for h in range(1, k))


@pytest.mark.parametrize("edge", [{"b"}, {"a", "d"}, {"a", "b", "d"}])
def test_what_precedence_forbids_breaks_a_row(edge):
    m = model(DIAMOND, "assignment")
    set_to(m, Split(DIAMOND, frozenset(edge)))
    assert any(name.startswith("precedence") for name in broken(m))


def test_a_hop_s_set_that_does_not_hold_the_one_before_breaks_nesting():
    instance = with_places(DIAMOND, 1, 3).replace(together=[])
    m = model(instance, "assignment")
    set_to(m, Split.of(instance, [frozenset("ab"), frozenset("a")]))
    assert broken(m) == ["nesting[1,b]"]


def test_a_group_that_is_parted_breaks_a_row():
    instance = DIAMOND.replace(together=[["b", "c"]])
    m = model(instance, "assignment")
    set_to(m, Split(instance, frozenset("ab")))
    assert broken(m) == ["together[1]"]
    set_to(m, Split(instance, frozenset("abc")))
    assert broken(m) == []


def test_one_hop_goes_by_the_short_names_too():
    m = model(DIAMOND, "assignment")
    assert m.edge["a"] is m.upto[1, "a"]
    assert m.offload[1] is m.offload
