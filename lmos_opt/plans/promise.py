"""A deadline that a plan is to keep with a confidence: which split does so and is best, and how often it was kept.

A promise is about the scenarios: the latency of at least that share of their weight is at most the deadline, `latency@pNN <=
deadline`. The split is chosen on the exact front of that quantile and of what is to be best, and its value compared as it is: so
nothing depends on a solver's tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from lmos_opt.errors import InfeasibleError
from lmos_opt.files import Amount, Count, Record
from lmos_opt.plans.proportion import wilson
from lmos_opt.units import format_time

if TYPE_CHECKING:
    from lmos_opt.front import Front, Point
    from lmos_opt.instance import Instance

Share = Annotated[Amount, Field(gt=0, le=1)]


class Promise(Record):
    """The deadline (s), and in which share of the scenarios' weight it is kept."""

    deadline_s: Annotated[Amount, Field(gt=0)]
    confidence: Share = 0.95

    @property
    def objective(self) -> str:
        """The quantile of the latency: `latency@p95`."""
        return f"latency@p{round(100 * self.confidence, 10):.12g}"

    @property
    def in_words(self) -> str:
        """The promise for people."""
        return f"{format_time(self.deadline_s)} in {100 * self.confidence:g} %"

    def objectives(self, instance: Instance, best: str | None = None) -> tuple[str, str]:
        """The front that the split is chosen from: the quantile, and what is to be `best`: of itself the energy where the first
        place's powers are known, else the memory."""
        return self.objective, best or ("memory" if instance.power is None else "energy")

    def chosen(self, front: Front) -> Point:
        """The best point in the front's other objective that keeps the promise; the first of equals.

        InfeasibleError names the least quantile that any split reaches, where that is above the deadline.
        """
        least = min(point.values[self.objective] for point in front.points)
        if least > self.deadline_s:
            raise InfeasibleError(front.instance, (
                f"a deadline of {self.in_words} of the scenarios (the least {self.objective} of any split is {least:.6g} s)",))
        return front.select(f"budget:{self.deadline_s!r}")

    def kept_in(self, latencies_s: Sequence[float], lost: int = 0) -> Kept:
        """How often it was kept by images that took so long, and by those that were `lost`, which did not keep it."""
        n, kept = len(latencies_s) + lost, sum(latency_s <= self.deadline_s for latency_s in latencies_s)
        low, high = wilson(kept, n)
        return Kept(deadline_s=self.deadline_s, confidence=self.confidence, images=n, kept=kept, low=low, high=high)


class Kept(Record):
    """How often a promise was kept: by so many images of all, and the ends between which the true share lies with 95 %
    confidence (Wilson's interval), if images were independent."""

    deadline_s: Amount
    confidence: Share
    images: Count
    kept: Count
    low: Amount
    high: Amount

    @property
    def share(self) -> float:
        """The share of images that kept it; 1 of none."""
        return self.kept / self.images if self.images else 1.0

    @property
    def in_words(self) -> str:
        """All of it in half a sentence."""
        return (f"{format_time(self.deadline_s)} kept by {self.kept} of {self.images} images ({100 * self.share:.1f} %, "
                f"{100 * self.low:.1f} % to {100 * self.high:.1f} %; promised {100 * self.confidence:g} %)")


def keeping(instance: Instance, promise: Promise, best: str | None = None, **options: Any) -> Point:
    """The split that keeps a promise over an instance's scenarios and is best in `best`: the least energy where the first place's
    powers are known, else the most edge memory. `options` are those of `pareto_front`.

    InfeasibleError names the least quantile that any split reaches; InputError where the instance has no scenarios.
    """
    from lmos_opt.api import pareto_front

    return promise.chosen(pareto_front(instance, promise.objectives(instance, best), **options))
