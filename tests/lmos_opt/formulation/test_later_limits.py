"""Memory limits of the places after the first: a split satisfies the rows where, and only where, the definition admits it."""

from __future__ import annotations

from itertools import combinations

import pyomo.environ as pyo
import pytest

from lmos.bench.random_instances import random_instance, with_places
from lmos_opt import InputError, Instance, pareto_front
from lmos_opt.graph import all_before
from lmos_opt.listing.splits import Splits
from lmos_opt.split import all_splits
from tests.lmos_opt.formulation.blocks import broken, model, set_to


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
@pytest.mark.parametrize("seed", [3, 8])
def test_rows_admit_what_the_definition_admits(seed, memory_model):
    instance = with_places(random_instance(seed, 5, "dag"), seed, 3)
    needed = sorted(split.memory_at(2) for split in all_splits(instance, memory_model))
    limit = needed[len(needed) // 2]
    places = [place.model_dump() | {"memory_limit_bytes": limit if p == 1 else None} for p, place in enumerate(instance.places)]
    instance = instance.replace(places=places)
    m = model(instance, "assignment", "crossing", f"memory_{memory_model}", "later_limits")
    admitted = 0
    for split in all_splits(instance, memory_model):
        set_to(m, split)
        assert (broken(m) == []) == (split.exceeds is None)
        admitted += split.exceeds is None
    assert 0 < admitted < len(needed) or needed[0] == needed[-1]


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_weights_shared_with_an_earlier_place_are_held_twice(memory_model):
    instance = with_places(random_instance(3, 5, "chain"), 2, 3)
    first, last = instance.names[0], instance.names[-1]
    weights = {"shared": [{"layers": [first], "bytes": 10**9}]}
    layers = [layer.model_dump() | (weights if layer.name == last else {}) for layer in instance.layers]
    places = [place.model_dump() | {"memory_limit_bytes": 10**9 if p else None} for p, place in enumerate(instance.places)]
    instance = instance.replace(layers=layers, places=places)
    assert Instance.from_dict(instance.to_dict()) == instance
    m = model(instance, "assignment", "crossing", f"memory_{memory_model}", "later_limits")
    splits = [*all_splits(instance, memory_model)]
    listed = Splits.of(instance, memory_model)
    places_of = [[place for place in split.places if first in place or last in place] for split in splits]
    for split, those in zip(splits, places_of, strict=True):
        set_to(m, split)
        assert (broken(m) == []) == (split.exceeds is None) == (len(those) == 1)
    for p in (1, 2, 3):
        assert sorted(listed.memory(p).values) == sorted(split.memory_at(p) for split in splits)
    with pytest.raises(InputError, match=r"layers\[0\].shared\[0\].layers: '.*' is no layer before it"):
        instance.replace(layers=[layers[0] | {"shared": [{"layers": [last], "bytes": 1}]}, *layers[1:]])


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_weights_that_parallel_layers_share_are_held_at_each_place_that_runs_one(memory_model):
    """Three branches with one weight of 1000 B, counted at each place by hand."""
    layers = [{"name": name, "inputs": inputs, "t_s": (0.0, 0.0, 0.0), "weight_bytes": 1000 * (name == "a"), "output_bytes": 0,
               "shared": [{"layers": earlier, "bytes": 1000}] if earlier else []}
              for name, inputs, earlier in (("a", ["input"], []), ("b", ["input"], ["a"]), ("c", ["input"], ["a", "b"]),
                                            ("join", ["a", "b", "c"], []))]  # fmt: skip
    instance = with_places(random_instance(3, 3, "chain"), 2, 3).replace(layers=layers, inputs={"input": 0})
    listed = Splits.of(instance, memory_model)
    m = model(instance, "assignment", "crossing", f"memory_{memory_model}", "later_limits")
    seen = set()
    for split in all_splits(instance, memory_model):
        held = [1000 * (not {"a", "b", "c"}.isdisjoint(place)) for place in split.places]
        assert [split.memory_at(p) for p in (1, 2, 3)] == held
        seen.add(tuple(held))
        set_to(m, split)
        assert broken(m) == []
        assert pyo.value(m.memory) == held[0]
    assert {(1000, 1000, 1000), (1000, 1000, 0), (1000, 0, 1000), (0, 1000, 1000), (1000, 0, 0)} <= seen
    for p in (1, 2, 3):
        assert sorted(listed.memory(p).values) == sorted(split.memory_at(p) for split in all_splits(instance, memory_model))


@pytest.mark.parametrize("objectives", [["latency", "memory"], ["latency", "footprint"], ["latency", "footprint:2"]])
@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_fronts_with_weights_of_parallel_layers_are_those_of_all_splits(objectives, memory_model):
    instance = random_instance(14, 6, "dag")
    inputs = {one.name: one.inputs for one in instance.layers}
    first, second, third = next((u, v, w) for u, v, w in combinations(instance.names, 3)
                                if u not in all_before(inputs, v) and not {u, v} & all_before(inputs, w))  # fmt: skip
    most = max(layer.output_bytes for layer in instance.layers)
    changes = {first: {"weight_bytes": instance.layer(first).weight_bytes + most},
               second: {"shared": [{"layers": [first], "bytes": most}]},
               third: {"shared": [{"layers": [first, second], "bytes": most}]}}  # fmt: skip
    instance = instance.replace(layers=[layer.model_dump() | changes.get(layer.name, {}) for layer in instance.layers])
    fronts = [pareto_front(instance, objectives=objectives, memory_model=memory_model, algorithm=algorithm)
              for algorithm in ("enumeration", "epsilon_constraint")]  # fmt: skip
    assert [[*point.values.values()] for point in fronts[0].points] == [[*point.values.values()] for point in fronts[1].points]
    assert any((first in split.edge_layers) != (second in split.edge_layers) for split in all_splits(instance, memory_model))
    with pytest.raises(InputError, match="weights that parallel layers share"):
        pareto_front(instance, objectives=objectives, memory_model=memory_model, algorithm="layerwise")
