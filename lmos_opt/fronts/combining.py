"""Fronts put together, compared and measured: union, dominance, hypervolume and other indicators, attainment over runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.front import Front, Point, SolverInfo

if TYPE_CHECKING:
    import pandas as pd

BEYOND = 1.1
"""The reference point of relative hypervolumes: the nadir is at 1 in every objective, so the front's ends count too."""
SAME = 1e-9
"""Scaled values nearer than this are one value."""


def union(one: Front, other: Front) -> Front:
    """The front of both fronts' points. See `Front.union`."""
    _check_same("union", one, other)
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
    moocore = _moocore("the hypervolume of a front")
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


def indicators(front: Front, truth: Front) -> dict[str, float]:
    """How near a front is to another one. See `Front.indicators`."""
    import numpy as np

    moocore = _moocore("the indicators of a front")
    _check_same("indicators", front, truth)
    if not truth.points:
        raise InputError("indicators", f"the front of {truth.instance} to measure by has no point")
    exact = np.array(truth.costs())
    low, width = exact.min(axis=0), np.ptp(exact, axis=0)
    width[width == 0] = 1.0
    exact = (exact - low) / width
    if not front.points:
        return {"hypervolume": 0.0, "igd_plus": inf, "epsilon": inf, "found": 0.0}
    mine = (np.array(front.costs()) - low) / width
    worst = np.full(exact.shape[1], BEYOND)
    same = np.abs(mine[:, None, :] - exact[None, :, :]).max(axis=2) <= SAME
    return {
        "hypervolume": float(moocore.hypervolume(mine, ref=worst) / moocore.hypervolume(exact, ref=worst)),
        "igd_plus": float(moocore.igd_plus(mine, ref=exact)),
        "epsilon": float(moocore.epsilon_additive(mine, ref=exact)),
        "found": float(same.any(axis=0).mean()),
    }


def dominated(front: Front, other: Front) -> tuple[Point, ...]:
    """The points of a front that some point of another one dominates. See `Front.dominated_by`."""
    _check_same("dominated_by", front, other)
    better = other.costs()
    return tuple(point for point, cost in zip(front.points, front.costs(), strict=True)
                 if any(_dominates(one, cost) for one in better))  # fmt: skip


def covers(front: Front, other: Front) -> bool:
    """Whether each point of another front is equalled or dominated. See `Front.covers`."""
    _check_same("covers", front, other)
    mine = front.costs()
    return all(any(one == cost or _dominates(one, cost) for one in mine) for cost in other.costs())


def attainment(fronts: Sequence[Front], percentiles: Sequence[float] = (0, 50, 100)) -> pd.DataFrame:
    """The empirical attainment function of several runs' fronts: the values that a percentage of the runs reach or improve.

    A pandas row for each point of each surface: `percentile`, then the objectives in their own senses and units. 0 is what at least
    one run reaches, 50 what half of them reach, 100 what all reach. For two or three objectives (C. M. Fonseca, A. P. Guerreiro, M.
    López-Ibáñez, L. Paquete, "On the computation of the empirical attainment function", EMO 2011).

    Raises InputError for fronts over different objectives, without points, or over more than three objectives, MissingExtraError
    without moocore (the extra `indicators`).
    """
    import numpy as np
    import pandas as pd

    moocore = _moocore("the attainment of fronts")
    if not fronts:
        raise InputError("fronts", "there are none; expected at least one")
    first = fronts[0]
    for k, front in enumerate(fronts):
        _check_same("fronts", first, front)
        if not front.points:
            raise InputError(f"fronts[{k}]", f"the front of {front.instance} has no point")
    if not 2 <= len(first.names) <= 3:
        raise InputError("fronts", f"are over {', '.join(first.names)}; expected two or three objectives")
    wanted = [float(percentile) for percentile in percentiles]
    if not all(0 <= percentile <= 100 for percentile in wanted):
        raise InputError("percentiles", f"got {list(percentiles)}; expected numbers from 0 to 100")
    costs = np.array([cost for front in fronts for cost in front.costs()])
    sets = np.repeat(np.arange(1, len(fronts) + 1), [len(front) for front in fronts])
    found = moocore.eaf(costs, sets, percentiles=[max(percentile, 100 / len(fronts)) for percentile in wanted])
    signs = np.array([1.0 if objective.sense == "min" else -1.0 for objective in first.objectives])
    frames = []
    for percentile in wanted:
        level = found[np.isclose(found[:, -1], max(percentile, 100 / len(fronts)))][:, :-1]
        frames.append(pd.DataFrame({"percentile": percentile, **dict(zip(first.names, (signs * level).T, strict=True))}))
    return pd.concat(frames, ignore_index=True)


def _moocore(part: str) -> Any:
    """The package of indicators; MissingExtraError if it is not installed."""
    try:
        return import_module("moocore")
    except ImportError:
        raise MissingExtraError(part, "indicators") from None


def _check_same(where: str, one: Front, other: Front) -> None:
    if one.objectives != other.objectives:
        raise InputError(where, f"the fronts are over {_said(one)} and over {_said(other)}; expected the same objectives")


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _said(front: Front) -> str:
    return ", ".join(f"{objective.name} ({objective.unit + ', ' if objective.unit else ''}{objective.sense})"
                     for objective in front.objectives)
