"""Each front algorithm alone finds every point, once; those for two objectives say so."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lmos_opt import InputError, algorithms, solvers
from lmos_opt.algorithms.driver import FrontProblem
from tests.lmos_opt.algorithms.arrays import binaries, form

SEARCHES = [name for name in algorithms.names(2) if name not in {"enumeration", "layerwise"}]
COSTS = [form(1, 2, 4, 3), form(-2, -1, -5, -3), form(3, -1, 0, 2)]


def truth(p: int) -> list[tuple[float, ...]]:
    found = {tuple(cost.at(np.array(x, dtype=float)) for cost in COSTS[:p]) for x in product((0, 1), repeat=4)}
    return sorted(a for a in found if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in found))


@pytest.mark.parametrize(("name", "p"), [*((name, 2) for name in SEARCHES), ("local_upper_bounds", 3)])
def test_every_point_once(name, p):
    problem = FrontProblem(binaries(4), COSTS[:p], solvers.get("highs"))
    assert sorted(found.costs for found in algorithms.get(name, p).trace(problem)) == truth(p)


@pytest.mark.parametrize("name", ["epsilon_constraint", "balanced_box"])
def test_algorithms_for_two_objectives_refuse_three(name):
    with pytest.raises(InputError, match=name):
        algorithms.get(name, 3)
