"""`lmos`: the paper's ranking read literally, the best value of the optimised objective.

With memory optimised (the paper's choice) that is always the feasible point with the most edge memory, whatever the
bandwidth or the speeds are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt.rules import Rule
from lmos_opt.rules.moving import never

if TYPE_CHECKING:
    from lmos_opt.front import Front


def _choose(front: Front, _: str) -> int:
    """Best in f_i, the optimised objective: the one that is not constrained."""
    others = [k for k, name in enumerate(front.names) if name != front.constrained]
    if front.constrained is None:
        others = [front.names.index("memory")] if "memory" in front.names else [0]
    costs = front.costs()
    return min(range(len(costs)), key=lambda k: costs[k][others[0]])


RULE = Rule("lmos", _choose, lambda _: "the best value of the optimised objective, which is the paper's ranking read literally",
            never, rank=1)
