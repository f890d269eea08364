"""`min_latency`: the point of least latency (the paper's LOA)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmos_opt.rules import Rule
from lmos_opt.rules.moving import never
from lmos_opt.rules.values import latency_name, values

if TYPE_CHECKING:
    from lmos_opt.front import Front


def _choose(front: Front, _: str) -> int:
    latency = values(front, latency_name(front))
    return min(range(len(latency)), key=lambda k: latency[k])


RULE = Rule("min_latency", _choose, lambda _: "the least latency", never, least_latency=True, takes_latency=True, rank=4)
