"""The peak as a program: at every split `memory` is the definition's, no step gives more, and `memory_floor` is never above it."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from lmos.bench.random_instances import random_instance, with_inputs, with_results
from lmos_opt.formulation.memory import edge_memory, peak_step
from lmos_opt.split import Split, down_closed_sets
from tests.lmos_opt.formulation.blocks import broken, model, set_to


@pytest.mark.parametrize("seed", range(4))
def test_memory_at_its_step_is_the_peak_and_no_floor_is_above_it(seed):
    instance = with_inputs(with_results(random_instance(seed, 6, "dag"), seed), seed)
    m = model(instance, "assignment", "crossing", "memory_peak")
    for edge in down_closed_sets(instance):
        set_to(m, Split(instance, edge, "peak"))
        peak = edge_memory(instance, edge, "peak")
        assert broken(m) == []
        assert pyo.value(m.memory) == peak
        assert max(pyo.value(m.memory_floor[v]) for v in instance.names) == peak
        assert [v for v in instance.names if m.step[v].value] == ([] if not edge else [peak_step(instance, edge)])


def test_another_step_with_all_that_is_alive_then_does_not_give_more():
    instance = random_instance(2, 6, "chain")
    m = model(instance, "assignment", "crossing", "memory_peak")
    edge = frozenset(instance.names)
    set_to(m, Split(instance, edge, "peak"))
    for v in instance.names:
        for other in instance.names:
            m.step[other].value = int(other == v)
        for u, a in m.alive:
            m.alive[u, a].value = int(u == v)
        assert pyo.value(m.memory) <= edge_memory(instance, edge, "peak") or broken(m)
