"""Memory limits of the places after the first: a split satisfies the rows where, and only where, the definition admits it."""

from __future__ import annotations

import pytest

from lmos.bench.random_instances import random_instance, with_places
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
