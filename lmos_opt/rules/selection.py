"""Selection rules: which point of a front is chosen. One function a rule; docs/formulation.md defines them.

`lmos` is the paper's ranking read literally: the best value of the optimised objective. With memory optimised (the
paper's choice) that is always the feasible point with the most edge memory, whatever the bandwidth or the speeds are.
"""

from __future__ import annotations

from collections.abc import Callable
from math import dist
from typing import TYPE_CHECKING

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.units import parse_time

if TYPE_CHECKING:
    from lmos_opt.front import Front, Point

RULES = ("lmos", "knee", "ideal", "min_latency", "budget:SECONDS", "slack:PERCENT")
ON_THE_LINE = 1e-12
"""A point whose scaled costs add up to 1 less this, or to more, does not lie on the ideal point's side for `knee`: rounding
moves the sums of a front that is one straight line by less."""


def select(front: Front, rule: str) -> Point:
    """The chosen point; the first of equals in the front's order. See `Front.select`."""
    name, _, argument = rule.partition(":")
    if name not in _RULES or bool(argument) != (name in ("budget", "slack")):
        raise InputError("rule", f"{rule!r} is not a selection rule; there are {', '.join(RULES)}")
    if not front.points:
        raise InfeasibleError(front.instance, ("the front has no point to select",))
    return front.points[_RULES[name](front, argument)]


def _lmos(front: Front, _: str) -> int:
    """Best in f_i, the optimised objective: the one that is not constrained."""
    others = [k for k, name in enumerate(front.names) if name != front.constrained]
    if front.constrained is None:
        others = [front.names.index("memory")] if "memory" in front.names else [0]
    costs = front.costs()
    return min(range(len(costs)), key=lambda k: costs[k][others[0]])


def _scaled(front: Front) -> list[tuple[float, ...]]:
    """Costs with each objective scaled to [0, 1] over the front: 0 is ideal, 1 nadir."""
    costs = front.costs()
    columns = list(zip(*costs, strict=True))
    low, high = [min(c) for c in columns], [max(c) for c in columns]
    return [tuple((v - a) / (b - a) if b > a else 0.0 for v, a, b in zip(row, low, high, strict=True)) for row in costs]


def _knee(front: Front, argument: str) -> int:
    """Farthest from the line through the front's ends on the side of the ideal point; where none lies there, `ideal`'s.

    Scaled, the ends of two objectives are (0, 1) and (1, 0), and the line is that of the points whose coordinates add up
    to 1. With more objectives it is the plane of such points, through the unit points.
    """
    sums = [sum(row) for row in _scaled(front)]
    if not sums or min(sums) >= 1 - ON_THE_LINE:
        return _ideal(front, argument)
    return min(range(len(sums)), key=lambda k: sums[k])


def _ideal(front: Front, _: str) -> int:
    """Nearest to the ideal point, scaled."""
    scaled = _scaled(front)
    return min(range(len(scaled)), key=lambda k: dist(scaled[k], (0.0,) * len(scaled[k])))


def _min_latency(front: Front, _: str) -> int:
    """Least latency (LOA)."""
    latency = _column(front, "latency")
    return min(range(len(latency)), key=lambda k: latency[k])


def _budget(front: Front, argument: str) -> int:
    """Most memory within a latency budget in seconds."""
    return _most_memory(front, parse_time(argument, "budget"), f"latency budget {argument}")


def _slack(front: Front, argument: str) -> int:
    """Most memory within PERCENT over the least latency."""
    most = min(_column(front, "latency")) * (1 + parse_percent(argument) / 100)
    return _most_memory(front, most, f"slack {argument} %")


def parse_percent(argument: str, what: str = "slack") -> float:
    """The number of `PERCENT` or `PERCENT%`; InputError about `what` unless it is one of at least zero."""
    try:
        percent = float(argument.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent < 1e9:
        raise InputError(what, f"{argument!r} is not a percentage of at least zero")
    return percent


def _most_memory(front: Front, most_latency: float, what: str) -> int:
    latency, memory = _column(front, "latency"), _column(front, "memory")
    within = [k for k in range(len(latency)) if latency[k] <= most_latency]
    if not within:
        raise InfeasibleError(front.instance, (f"{what} (the least latency is {min(latency):.6g} s)",))
    return max(within, key=lambda k: memory[k])


def _column(front: Front, name: str) -> list[float]:
    if name in front.names:
        return [point.values[name] for point in front.points]
    raise InputError("rule", f"the front has no objective {name!r}; it has {', '.join(front.names)}")


_RULES: dict[str, Callable[[Front, str], int]] = {
    "lmos": _lmos, "knee": _knee, "ideal": _ideal, "min_latency": _min_latency, "budget": _budget, "slack": _slack,
}  # fmt: skip
