"""Memory limits of the places after the first: a split satisfies the rows where, and only where, the definition admits it."""

from __future__ import annotations

import pytest

from lmos.bench.random_instances import random_instance, with_places
from lmos_opt import InputError, Instance
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
    layers = [layer.model_dump() | ({"shared": {first: 10**9}} if layer.name == last else {}) for layer in instance.layers]
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
    with pytest.raises(InputError, match=r"layers\[0\].shared: '.*' is no layer whose output"):
        instance.replace(layers=[layers[0] | {"shared": {last: 1}}, *layers[1:]])
