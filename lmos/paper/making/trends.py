"""How the number of edge layers moves when one parameter grows: what theory says, what the paper says, what the fronts say.

For a chain with cut n, latency is f(n) = a(n) / s_e + u(n) / B + c(n) / s_s: a, the edge's work, never falls with n; c, the
server's, never rises; u, the output, does as it likes. Memory never falls with n. So:

- `lmos` takes the most memory that fits: only the storage moves it, upwards.
- `min_latency`: a lower 1 / s_e makes larger n relatively cheaper, so the least n that is best never falls; a lower 1 / s_s
  makes smaller n cheaper. More storage only admits larger n. About B there is nothing to say of n, but u at the best cut never
  falls as B grows.
- `budget` takes the largest n with f(n) within the budget: whatever lowers f or admits more n, a faster *server* included,
  only admits larger n.
- `slack`: more storage admits only larger n, and when one of them lowers the least latency it is itself within the slack. Of
  speeds nothing is certain: the least latency falls too, and the bar with it.
- `knee` and `ideal` scale by the front's own ends; nothing is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Trend = Literal["same", "never fewer", "never more", "both ways"]

PARAMETERS = ("bandwidth", "edge_storage", "edge_clock", "edge_cores", "server_clock", "server_cores")
PROSE: dict[str, Trend] = {
    "bandwidth": "never fewer", "edge_storage": "never fewer", "edge_clock": "never fewer", "edge_cores": "never fewer",
    "server_clock": "never more", "server_cores": "never more",
}  # fmt: skip
"""What section 5.2 of the paper says (data/paper/claims.csv)."""
_THEORY: dict[str, dict[str, Trend]] = {
    "lmos": {**dict.fromkeys(PARAMETERS, "same"), "edge_storage": "never fewer"},
    "min_latency": {"edge_storage": "never fewer", "edge_clock": "never fewer", "edge_cores": "never fewer",
                    "server_clock": "never more", "server_cores": "never more"},
    "budget": dict.fromkeys(PARAMETERS, "never fewer"),
    "slack": {"edge_storage": "never fewer"},
    "knee": {},
    "ideal": {},
}  # fmt: skip


def theory(parameter: str, rule: str) -> Trend | None:
    """What must hold for every chain as the parameter grows; None where nothing must."""
    return _THEORY[rule.partition(":")[0]].get(parameter)


def observed(counts: Sequence[int | None]) -> Trend:
    """What a series did; None, a rule without a split, is less than any count: then not even one layer is within a budget."""
    series = [-1 if n is None else n for n in counts]
    steps = [b - a for a, b in pairwise(series)]
    rises, falls = any(step > 0 for step in steps), any(step < 0 for step in steps)
    if rises and falls:
        return "both ways"
    return "never fewer" if rises else "never more" if falls else "same"


def holds(statement: Trend, seen: Trend) -> bool:
    """Whether a series that did `seen` is as `statement` says."""
    return seen in ("same", statement)


def trends(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a (parameter, rule): how many of the networks' series hold what theory and what the paper say.

    `frame` has `parameter`, `layers`, `rule`, `value` and `ours`.
    """
    import pandas as pd

    rows = []
    for (parameter, rule), part in frame.groupby(["parameter", "rule"], sort=False):
        series = [some.sort_values("value")["ours"] for _, some in part.groupby("layers")]
        seen = [observed([None if pd.isna(n) else int(n) for n in some]) for some in series]
        must, says = theory(str(parameter), str(rule)), PROSE[str(parameter)]
        rows.append({
            "as this grows": parameter, "rule": rule, "theory": must or "nothing certain",
            "theory holds": f"{sum(holds(must, s) for s in seen)} of {len(seen)}" if must else "",
            "paper says": says, "paper holds": f"{sum(holds(says, s) for s in seen)} of {len(seen)}",
            "seen": ", ".join(f"{s} {seen.count(s)}" for s in dict.fromkeys(seen)),
        })  # fmt: skip
    return pd.DataFrame(rows)
