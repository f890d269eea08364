"""How the number of edge layers changes when one parameter grows: in theory, in the paper, and on the fronts.

For a chain with cut n, latency is f(n) = a(n) / s_e + u(n) / B + c(n) / s_s. The edge's work a never falls with n, the server's
work c never rises, and the output u may do either. Memory never falls with n. So:

- `lmos` chooses the most memory that fits. Only the storage changes its choice: more storage never gives a smaller n.
- `min_latency`: with a faster edge (s_e) larger n become relatively faster, so the least of the best n never falls. With a faster
  server (s_s) smaller n become relatively faster. More storage only admits larger n. Nothing is certain about n as B grows, but u
  at the best cut never falls.
- `budget` chooses the largest n with f(n) within the budget. All that lowers f or admits more n, a faster *server* too, only
  admits larger n.
- `slack`: more storage only admits larger n, and if one of them lowers the least latency, it is itself within the slack. Nothing is
  certain about speeds, because the least latency falls too, and so does the limit.
- `knee` and `ideal` scale values by the front's own ends, so nothing is certain.
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
"""The trends that section 5.2 of the paper states (data/paper/claims.csv)."""
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
    """The trend that every chain must have as the parameter grows; None if nothing is certain."""
    return _THEORY[rule.partition(":")[0]].get(parameter)


def observed(counts: Sequence[int | None]) -> Trend:
    """The trend of a series. None (the rule admits no split) counts as less than 0 edge layers."""
    series = [-1 if n is None else n for n in counts]
    steps = [b - a for a, b in pairwise(series)]
    rises, falls = any(step > 0 for step in steps), any(step < 0 for step in steps)
    if rises and falls:
        return "both ways"
    return "never fewer" if rises else "never more" if falls else "same"


def holds(statement: Trend, seen: Trend) -> bool:
    """Whether a series with the trend `seen` agrees with the statement."""
    return seen in ("same", statement)


def trends(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each (parameter, rule): how many of the networks' series agree with the theory, and with the paper.

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
