"""A block of constraints that is named binds as the option does that adds the same block."""

from __future__ import annotations

import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import pareto_front


@pytest.mark.parametrize("seed", [7, 9, 10, 19])
def test_a_block_by_name_is_checked_on_the_edge_set(seed):
    instance = random_instance(seed, most_layers=8)
    named = pareto_front(instance, constraints=["proper_split"])
    asked = pareto_front(instance, proper_split=True)
    assert [point.values for point in named.points] == [point.values for point in asked.points]


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
@pytest.mark.parametrize("name", ["assignment", "crossing", "used", "memory_limit", "peak_exact"])
def test_a_block_that_stands_in_the_model_already_changes_nothing(name, memory_model):
    instance = random_instance(7, most_layers=6)
    named = pareto_front(instance, constraints=[name], memory_model=memory_model)
    assert named.points == pareto_front(instance, memory_model=memory_model).points
