"""A deadline that a plan must keep with a confidence: the best split that keeps it, and how often a run kept it.

A promise is about the scenarios: in at least this share of their weight the latency is at most the deadline,
`latency@pNN <= deadline`. The split is chosen on the exact front of that quantile and of the objective to optimise, and its value
is compared exactly: so nothing depends on a solver's tolerance.
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
    """The deadline (s), and the share of the scenarios' weight in which it must be kept."""

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
        """The objectives of the front that the split is chosen from: the quantile, and `best`; by default energy if the first
        place's powers are known, otherwise memory."""
        return self.objective, best or ("memory" if instance.power is None else "energy")

    def chosen(self, front: Front) -> Point:
        """The point that keeps the promise and is best in the front's other objective; the first of equal ones.

        InfeasibleError names the least quantile of any split, if that is above the deadline.
        """
        least = min(point.values[self.objective] for point in front.points)
        if least > self.deadline_s:
            raise InfeasibleError(front.instance, (
                f"a deadline of {self.in_words} of the scenarios (the least {self.objective} of any split is {least:.6g} s)",))
        return front.select(f"budget:{self.deadline_s!r}")

    def kept_in(self, latencies_s: Sequence[float], lost: int = 0) -> Kept:
        """How often images with these latencies kept it; images that were `lost` did not keep it."""
        n, kept = len(latencies_s) + lost, sum(latency_s <= self.deadline_s for latency_s in latencies_s)
        low, high = wilson(kept, n)
        return Kept(deadline_s=self.deadline_s, confidence=self.confidence, images=n, kept=kept, low=low, high=high)


class Kept(Record):
    """How often a promise was kept: the number of images that kept it and of all images, and the interval that holds the true share
    with 95 % confidence (Wilson's interval), if images were independent."""

    deadline_s: Amount
    confidence: Share
    images: Count
    kept: Count
    low: Amount
    high: Amount

    @property
    def share(self) -> float:
        """The share of images that kept it; 1 if there were none."""
        return self.kept / self.images if self.images else 1.0

    @property
    def in_words(self) -> str:
        """All of it in half a sentence."""
        return (f"{format_time(self.deadline_s)} kept by {self.kept} of {self.images} images ({100 * self.share:.1f} %, "
                f"{100 * self.low:.1f} % to {100 * self.high:.1f} %; promised {100 * self.confidence:g} %)")


def keeping(instance: Instance, promise: Promise, best: str | None = None, **options: Any) -> Point:
    """The split that keeps a promise over an instance's scenarios and is best in `best`: by default the least energy if the first
    place's powers are known, otherwise the most edge memory. `options` are those of `pareto_front`.

    InfeasibleError names the least quantile of any split; InputError if the instance has no scenarios.
    """
    from lmos_opt.api import pareto_front

    return promise.chosen(pareto_front(instance, promise.objectives(instance, best), **options))
