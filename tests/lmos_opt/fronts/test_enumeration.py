"""Every down-closed edge set, evaluated: fronts by hand."""

from __future__ import annotations

import pytest

from lmos_opt import Instance, Objective
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.objectives import get
from tests.lmos_opt.documents import chain_data, diamond_data

LATENCY, MEMORY = get("latency"), get("memory")


def chosen(instance: Instance, *objectives: Objective, **options: object) -> list[str]:
    return ["".join(split.edge_layers) for _, split in enumerate_front(instance, objectives, **options)]


def test_a_chains_front_by_hand():
    """Latencies of the cuts 0 to 3: 0.4415, 0.633, 1.001, 1.75 s; memories 0, 12100, 13100, 63140 B."""
    instance = Instance.from_dict(chain_data())
    assert chosen(instance, LATENCY, MEMORY) == ["", "a", "ab", "abc"]
    values = [values for values, _ in enumerate_front(instance, [LATENCY, MEMORY])]
    assert values[0] == pytest.approx((0.4415, 0))
    assert values[-1][0] == pytest.approx(1.75)
    assert chosen(instance, LATENCY) == [""]


def test_the_limit_and_the_proper_split_are_kept():
    assert chosen(Instance.from_dict(chain_data(memory_limit_bytes=20000)), LATENCY, MEMORY) == ["", "a", "ab"]
    assert chosen(Instance.from_dict(chain_data()), LATENCY, MEMORY, proper_split=True) == ["a", "ab"]


def test_a_graphs_splits_are_down_closed():
    found = set(chosen(Instance.from_dict(diamond_data()), LATENCY, MEMORY))
    assert found <= {"", "a", "ab", "ac", "abc", "abcd"}
    assert "" in found


def test_the_front_is_ordered_by_the_first_objective_best_first():
    found = [values[0] for values, _ in enumerate_front(Instance.from_dict(chain_data()), [MEMORY, LATENCY])]
    assert found == sorted(found, reverse=True)


def test_an_objective_without_a_value_is_refused():
    own = Objective("own", "", "min", lambda m, inst: 0)
    with pytest.raises(ValueError, match="objective 'own' has no value from an edge set alone"):
        enumerate_front(Instance.from_dict(chain_data()), [own])
