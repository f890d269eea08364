"""Fronts put together and measured: their union, and the volume that one dominates."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.front import Front, Point, SolverInfo


def union(one: Front, other: Front) -> Front:
    """The front of both fronts' points. See `Front.union`."""
    if one.objectives != other.objectives:
        raise InputError("union", f"the fronts are over {_said(one)} and over {_said(other)}; expected the same objectives")
    costs: dict[tuple[float, ...], Point] = {}
    for front in (one, other):
        for cost, point in zip(front.costs(), front.points, strict=True):
            costs.setdefault(cost, point)
    kept = sorted(cost for cost in costs if not any(_dominates(better, cost) for better in costs))
    solvers = tuple(dict.fromkeys((one.solver, other.solver)))
    reasons = tuple(dict.fromkeys(front.reason for front in (one, other) if front.reason is not None))
    return Front(
        instance=", ".join(dict.fromkeys((one.instance, other.instance))),
        objectives=one.objectives,
        points=tuple(costs[cost] for cost in kept),
        solves=one.solves + other.solves,
        seconds=one.seconds + other.seconds,
        solver=SolverInfo(name=", ".join(solver.name for solver in solvers),
                          version=", ".join(solver.version for solver in solvers)),
        complete=one.complete and other.complete,
        reason="; ".join(reasons) if reasons else None,
        constrained=one.constrained if one.constrained == other.constrained else None,
    )  # fmt: skip


def hypervolume(front: Front, reference: Mapping[str, float] | None = None) -> float:
    """The volume between the points and a reference point. See `Front.hypervolume`."""
    try:
        import moocore
    except ImportError:
        raise MissingExtraError("the hypervolume of a front", "indicators") from None
    if reference is None:
        reference = front.nadir
    elif set(reference) != set(front.names) or not all(isfinite(value) for value in reference.values()):
        raise InputError("reference", f"got {dict(reference)}; expected a finite number for each of {', '.join(front.names)}, and "
                                      "none else")  # fmt: skip
    if not front.points:
        return 0.0
    signs = [1.0 if objective.sense == "min" else -1.0 for objective in front.objectives]
    worst = [sign * reference[name] for sign, name in zip(signs, front.names, strict=True)]
    return float(moocore.hypervolume(front.costs(), ref=worst))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _said(front: Front) -> str:
    return ", ".join(f"{objective.name} ({objective.unit + ', ' if objective.unit else ''}{objective.sense})"
                     for objective in front.objectives)
