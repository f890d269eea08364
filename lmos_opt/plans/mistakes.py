"""What is wrong with a plan, beside its keys: policies of other hops or places, tensors of one name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lmos_opt.errors import Problem
from lmos_opt.policies.policy import Over, Policy


def wrong_policies(policies: Sequence[Policy | None], n_places: int) -> Iterator[Problem]:
    """Policies, one a hop, that are not over their hop's bandwidth, or choose splits of another number of places."""
    for h, policy in enumerate(policies, 1):
        where = "policy" if h == 1 else f"later_policies[{h - 2}]"
        if policy is None:
            continue
        if policy.over != str(over := Over("bandwidth", h)):
            yield Problem(f"{where}.over", f"got {policy.over!r}, expected '{over}'")
        for k, stretch in enumerate(policy.stretches):
            if stretch.counts and len(stretch.counts) != n_places:
                yield Problem(f"{where}.stretches[{k}]", f"is of {len(stretch.counts)} places; this plan has {n_places}")


def repeated_names(hops: Sequence[Sequence[str]]) -> Iterator[Problem]:
    """Names that stand twice among those of the tensors that cross a hop."""
    for h, names in enumerate(hops):
        first: dict[str, int] = {}
        where = f"later_crossing[{h - 1}]" if h else "crossing"
        for k, name in enumerate(names):
            if first.setdefault(name, k) != k:
                yield Problem(f"{where}[{k}].name", f"{name!r} is the name of {where}[{first[name]}] too, so the plan does not say "
                                                    "which tensor is which; make the plan again")  # fmt: skip
