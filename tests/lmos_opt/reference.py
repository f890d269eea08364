"""The slow truth that fronts are held to."""

from __future__ import annotations

from lmos_opt import Front, Instance
from lmos_opt.enumeration import enumerate_front
from lmos_opt.objectives import get
from lmos_opt.split import Split

TIE = 1e-10
"""Relative to an objective's size: sums of the same numbers in another order differ by less."""


def mistakes(front: Front, instance: Instance, objectives: list[str], memory_model: str, proper: bool = False) -> list[str]:
    """What is wrong with a front: points lost, points that are not of the front, points twice; empty if nothing is."""
    chosen = [get(name) for name in objectives]
    truth = [values for values, _ in enumerate_front(instance, chosen, memory_model, proper)]
    signs = [1 if o.sense == "min" else -1 for o in chosen]
    sizes = [max((abs(v[k]) for v in truth), default=0) for k in range(len(chosen))]
    found = [tuple(point.values[name] for name in objectives) for point in front.points]

    def covers(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        """Whether a is nowhere worse than b, up to ties."""
        return all(s * x <= s * y + TIE * size for s, x, y, size in zip(signs, a, b, sizes, strict=True))

    wrong = [f"incomplete: {front.reason}"] if not front.complete else []
    wrong += [f"lost {t}" for t in truth if not any(covers(f, t) for f in found)]
    wrong += [f"not on the front {f}" for f in found if not any(covers(f, t) and covers(t, f) for t in truth)]
    wrong += [f"twice {f}" for k, f in enumerate(found) if any(covers(f, g) and covers(g, f) for g in found[:k])]
    for point in front.points:
        edge = instance.edge_set(point.edge_layers or ())
        split = Split(instance, edge, memory_model)
        own = tuple(o.value(split) for o in chosen if o.value)
        if own != tuple(point.values[name] for name in objectives):
            wrong.append(f"{point.edge_layers} has {own}, not {point.values}")
    return wrong
