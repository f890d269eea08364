"""What crosses: at every split the rows leave `sent` one value, and that is what the instance says crosses."""

from __future__ import annotations

import pytest

from lmos.bench.random_instances import random_instance, with_inputs, with_places, with_results
from lmos_opt import Instance
from lmos_opt.split import Split, all_splits
from tests.lmos_opt.documents import diamond_data
from tests.lmos_opt.formulation.blocks import broken, is_forced, model, set_to


@pytest.mark.parametrize(("seed", "k"), [(1, 2), (4, 2), (6, 3)])
def test_sent_is_what_crosses_and_nothing_else_satisfies_the_rows(seed, k):
    instance = with_places(with_inputs(with_results(random_instance(seed, 5, "dag"), seed), seed), seed, k)
    m = model(instance, "assignment", "crossing")
    for split in all_splits(instance):
        set_to(m, split)
        assert broken(m) == []
        for h, before in enumerate(split.upto, 1):
            assert {u for u in instance.tensors if m.sent[h, u].value} == set(instance.crossing(before))
            assert all(is_forced(m, m.sent[h, u]) for u in instance.tensors)


def test_a_tensor_that_is_read_further_on_is_relayed():
    instance = with_places(Instance.from_dict(diamond_data()), 1, 3)
    m = model(instance, "assignment", "crossing")
    set_to(m, Split.of(instance, [frozenset("a"), frozenset("ab")]))
    assert [[u for u in instance.tensors if m.sent[h, u].value] for h in (1, 2)] == [["input", "a"], ["input", "a", "b"]]
