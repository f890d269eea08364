"""Numbers of a front for rules: the values of an objective, costs scaled to [0, 1], most memory within a latency."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lmos_opt import objectives
from lmos_opt.errors import InfeasibleError, InputError

if TYPE_CHECKING:
    from lmos_opt.front import Front


def latency_name(front: Front) -> str:
    """The front's latency: `latency`, otherwise the only objective that is `latency@MEASURE` or a user's own in seconds.

    InputError if there is none, or more than one.
    """
    if "latency" in front.names:
        return "latency"
    shipped = objectives.names()
    times = [o.name for o in front.objectives if o.unit == "s" and o.sense == "min"
             and (o.name.startswith("latency@") or re.split("[:@]", o.name)[0] not in shipped)]
    if len(times) == 1:
        return times[0]
    several = f"; {' and '.join(times)} are times (s), and none of them is called so" if times else ""
    raise InputError("rule", f"the front has no objective 'latency'; it has {', '.join(front.names)}{several}")


def values(front: Front, name: str) -> list[float]:
    """An objective's value at each point; InputError if the front has no such objective."""
    if name in front.names:
        return [point.values[name] for point in front.points]
    raise InputError("rule", f"the front has no objective {name!r}; it has {', '.join(front.names)}")


def scaled(front: Front) -> list[tuple[float, ...]]:
    """Costs with each objective scaled to [0, 1] over the front: 0 is ideal, 1 nadir."""
    costs = front.costs()
    columns = list(zip(*costs, strict=True))
    low, high = [min(c) for c in columns], [max(c) for c in columns]
    return [tuple((v - a) / (b - a) if b > a else 0.0 for v, a, b in zip(row, low, high, strict=True)) for row in costs]


def most_memory(front: Front, most_latency_s: float, what: str) -> int:
    """The index of the point with the most memory within a latency; InfeasibleError about `what` if there is none.

    On a front of latency and one other objective that is not memory, the point that is best in the other objective.
    """
    name = latency_name(front)
    latency, others = values(front, name), [o for o in front.objectives if o.name != name]
    other = others[0] if len(others) == 1 and "memory" not in front.names else None
    sign = 1.0 if other is None or other.sense == "max" else -1.0
    memory = [sign * value for value in values(front, "memory" if other is None else other.name)]
    within = [k for k in range(len(latency)) if latency[k] <= most_latency_s]
    if not within:
        raise InfeasibleError(front.instance, (f"{what} (the least latency is {min(latency):.6g} s)",))
    return max(within, key=lambda k: memory[k])
