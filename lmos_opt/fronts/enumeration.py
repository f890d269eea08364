"""The fronts of splits by brute force: every split is evaluated. This is slow, except for chains and small graphs.

Tests compare the algorithms with it, and it needs no solver. It is not one of the algorithms, because it takes instances only, not
general models.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective
from lmos_opt.split import Split, all_splits


def enumerate_front(
    instance: Instance,
    objectives: Sequence[Objective],
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
) -> list[tuple[tuple[float, ...], Split]]:
    """The front of an instance as pairs of values and a split, the best value of the first objective first.

    Values are in the objectives' own units and senses. With two places and L layers there are L + 1 splits of a chain, and 2**L of
    a graph without arcs. Raises ValueError for an objective without a `value`.
    """
    found: list[tuple[tuple[float, ...], Split]] = []
    for split in all_splits(instance, memory_model):
        if split.exceeds is not None or (proper_split and not split.is_proper):
            continue
        costs = tuple(_value(o, split) * (1 if o.sense == "min" else -1) for o in objectives)
        found.append((costs, split))
    kept: list[tuple[tuple[float, ...], Split]] = []
    for costs, split in sorted(found, key=lambda pair: pair[0]):
        if not any(all(a <= b for a, b in zip(other, costs, strict=True)) for other, _ in kept):
            kept.append((costs, split))
    return [(tuple(_value(o, split) for o in objectives), split) for _, split in kept]


def _value(objective: Objective, split: Split) -> float:
    if objective.value is None:
        raise ValueError(f"objective {objective.name!r} has no value from an edge set alone")
    return objective.value(split)
