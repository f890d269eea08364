"""The true fronts of splits: every split is evaluated. Slow except for chains and small graphs, never wrong.

Tests use it to check the algorithms, and it serves instances without a solver. It is not an algorithm itself, because it knows the
structure of splits and no general model.
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
    """The non-dominated (values, split) pairs of an instance, by the first objective, best first.

    Every objective needs a `value`. With two places, it takes 2**L steps on a graph without arcs, L + 1 steps on a chain.
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
