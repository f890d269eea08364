"""Time at one place: `place_time:N`, places counted from 1."""

from __future__ import annotations

from lmos_opt.formulation.stages import place_time
from lmos_opt.listing.splits import Listed, Splits
from lmos_opt.objectives import Objective, numbered


def objective(argument: str) -> Objective:
    """The objective of the place with that number; InputError if it is none."""
    n = numbered("place_time", argument)

    def each(splits: Splits) -> Listed:
        return splits.listed(splits.place_time(n.of(splits.instance.name, splits.instance.places)))

    return Objective(f"place_time:{n.number}", "s", "min", lambda m, inst: place_time(m, inst, n.of(inst.name, inst.places)),
                     lambda split: split.times.t_place_s[n.number - 1],
                     each=each, grows=True)  # fmt: skip
