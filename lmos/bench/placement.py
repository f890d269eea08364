"""`lmos bench placement`: published workloads at equal places, ours beside the literature's integer program in HiGHS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from lmos.bench.raw_placement import RawAnswer, solve
from lmos.bench.workloads import Workload
from lmos_opt import pareto_front

NEAR = 0.01
"""Relative to the published least load: how far above it an answer may be."""
SAME = 1e-9
"""Relative to a load: what is as near as that is the same number, printed and read again."""


@dataclass(frozen=True)
class Placement:
    """One workload at some places: our load and bound (s), the published least load and HiGHS's answer, if there are any."""

    workload: str
    places: int
    layers: int
    load_s: float
    bound_s: float
    seconds: float
    is_proved: bool
    optimum_s: float | None
    raw: RawAnswer | None

    @property
    def mistakes(self) -> list[str]:
        """What is wrong with our answer, beside the published one."""
        wrong = []
        if self.bound_s > self.load_s * (1 + SAME):
            wrong.append("the bound is above the load")
        if self.optimum_s is not None:
            if self.load_s < self.optimum_s * (1 - SAME):
                wrong.append("the load is below the least one")
            if self.load_s > self.optimum_s * (1 + NEAR):
                wrong.append(f"the load is more than {NEAR:.0%} above the least one")
            if self.bound_s > self.optimum_s * (1 + SAME):
                wrong.append("the bound is above the least load")
        return wrong


def measure(workloads: Sequence[Workload], places: Sequence[int], time_limit_s: float, raw_limit_s: float,
            tell: Callable[[str], None] = lambda what: None) -> Iterator[Placement]:  # fmt: skip
    """Each workload at each number of places; the raw program has `raw_limit_s`, and is left out where that is 0."""
    for workload in workloads:
        for k in places:
            instance = workload.instance(k)
            tell(f"{workload.name} at {k} places")
            start = perf_counter()
            front = pareto_front(instance, ["load"], time_limit_s=time_limit_s)
            seconds = perf_counter() - start
            load_s = front[0].values["load"]
            bound_s = load_s if front.complete else front.bound or 0.0
            tell(f"{workload.name} at {k} places: the raw program")
            raw = solve(instance, raw_limit_s) if raw_limit_s else None
            yield Placement(workload.name, k, len(instance.layers), load_s, bound_s, seconds, front.complete,
                            workload.optimum_s.get(k), raw)  # fmt: skip
