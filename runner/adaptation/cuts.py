"""The cuts that a run may change between, what each takes at a bandwidth, and which of them the policy chooses there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan
from lmos_opt.policies.policy import Policy
from lmos_opt.rules import find_rule
from lmos_opt.units import counted, format_size
from measurement.tracing import TracedNetwork
from runner.parts.network import memory_here

MOST_CUTS = 8
"""The most cuts of a policy. Each has its own connection; a server takes 16 connections by default, from all edges together."""
MARGIN = 0.05
"""A change must be predicted to save this share of the latency. Predictions cannot tell apart cuts that are nearer."""
BAND = 0.1
"""For rules that are not about latency: the change must be the rule's choice at bandwidths this share lower and higher, too."""


@dataclass(frozen=True)
class Cut:
    """A split: with bandwidth B of a hop it is predicted to take `fixed_s + crossing_bytes / B` seconds.

    `edge_layers` are those of the first place; of more than two places, `later_layers` those of each further one.
    """

    edge_layers: tuple[str, ...]
    fixed_s: float
    crossing_bytes: int
    later_layers: tuple[tuple[str, ...], ...] = ()

    @property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """The layers of each place. Cuts of policies over different hops are the same split if these are the same."""
        return (self.edge_layers, *self.later_layers)

    @property
    def x1(self) -> int:
        """The number of layers at the edge."""
        return len(self.edge_layers)

    def latency_s(self, bandwidth: float) -> float:
        """The predicted latency (s) at a bandwidth (B/s)."""
        return self.fixed_s + self.crossing_bytes / bandwidth


@dataclass(frozen=True)
class Choice:
    """The cuts of a policy, one for each stretch; None if the rule admits no split there.

    The policy is over the bandwidth of `hop`; the other hops are as in the plan's setting. The setting has `bandwidth` (B/s) for
    this hop.
    """

    policy: Policy
    planned: Cut
    cuts: tuple[Cut | None, ...]
    hop: int = 1
    bandwidth: float = 1.0

    @classmethod
    def of(cls, plan: Plan) -> Choice:
        """Of a plan over two places, its policy. Raises as `all_of`."""
        (choice,) = cls.all_of(plan)
        return choice

    @classmethod
    def all_of(cls, plan: Plan) -> list[Choice]:
        """A plan's policies, and the plan's own cut. InputError if the plan has no policy, or too many cuts."""
        found = [cls._of(plan, h, policy) for h, policy in enumerate(plan.policies, 1) if policy is not None]
        if not found:
            raise InputError("--adapt", "the plan has no policy to follow; lmos plan --policy 1Mbps..200Mbps writes one into it")
        if "latency_s" in plan.unpredicted:
            raise InputError("--adapt", f"the plan predicts no latency to compare with: {plan.unpredicted['latency_s']}")
        if (n := len(different(found))) > MOST_CUTS:
            raise InputError("--adapt", f"the policy changes between {counted(n, 'cut')}, and at most "
                                        f"{MOST_CUTS} are held ready; make it over a narrower range of bandwidths")
        return found

    @classmethod
    def _of(cls, plan: Plan, hop: int, policy: Policy) -> Choice:
        cuts = tuple(None if one.edge_layers is None or one.fixed_s is None or one.crossing_bytes is None
                     else Cut(one.edge_layers, one.fixed_s, one.crossing_bytes, one.later_layers or ())
                     for one in policy.stretches)  # fmt: skip
        bandwidth = plan.setting.hops[hop - 1].bandwidth_bytes_per_s if plan.setting.hops else plan.setting.bandwidth_bytes_per_s
        n_bytes = _bytes(plan, hop)
        fixed_s = float(plan.predicted.get("latency_s", 0.0)) - n_bytes / bandwidth
        planned = Cut(plan.edge_layers, max(fixed_s, 0.0), n_bytes, plan.later_layers)
        same = (cut for cut in cuts if cut is not None and cut.places == planned.places)
        return cls(policy, next(same, planned), cuts, hop, bandwidth)

    def different(self) -> list[Cut]:
        """Every cut once, the plan's own first."""
        return list(dict.fromkeys([self.planned, *(cut for cut in self.cuts if cut is not None)]))

    def at(self, bandwidth: float) -> Cut | None:
        """The rule's choice at a bandwidth (B/s). Outside the policy's range it is the choice at the nearest end."""
        return self.cuts[bisect_right(self.policy.breakpoints, bandwidth)]

    def as_here(self, cut: Cut, other: Choice, n_bytes: int | None) -> Cut | None:
        """A cut of another choice as one over this choice's hop, which `n_bytes` of it cross; None if this number is not known."""
        known = next((one for one in self.different() if one.places == cut.places), None)
        if other is self or known is not None or n_bytes is None:
            return cut if other is self else known
        return Cut(cut.edge_layers, max(cut.latency_s(other.bandwidth) - n_bytes / self.bandwidth, 0.0), n_bytes, cut.later_layers)

    def better(self, current: Cut, bandwidth: float) -> Cut | None:
        """The cut to change to from the current one, if there is one and it is worth it."""
        chosen = self.at(bandwidth)
        if chosen is None or chosen == current:
            return None
        rule = find_rule(self.policy.rule)
        if rule is not None and rule.least_latency:
            now, then = current.latency_s(bandwidth), chosen.latency_s(bandwidth)
            return chosen if now - then > MARGIN * now else None
        around = [self.at(bandwidth * factor) for factor in (1 / (1 + BAND), 1 + BAND)]
        return chosen if current not in around else None


def different(choices: Sequence[Choice]) -> list[Cut]:
    """Every cut of several choices once, the plan's own first."""
    found: dict[tuple[tuple[str, ...], ...], Cut] = {}
    for choice in choices:
        for cut in choice.different():
            found.setdefault(cut.places, cut)
    return list(found.values())


def plans_of(plan: Plan, choices: Sequence[Choice]) -> list[Plan]:
    """A plan for each cut, the plan itself first. What crosses, and what is predicted, is filled in only there."""
    others = [cut for cut in different(choices) if cut.places != choices[0].planned.places]
    return [plan, *(plan.model_copy(update={"edge_layers": cut.edge_layers, "later_layers": cut.later_layers, "crossing": ()})
                    for cut in others)]  # fmt: skip


def check_memory(plans: Sequence[Plan], traced: TracedNetwork) -> None:
    """InputError if the layers of all cuts together are above the plan's memory limit: their weights stay in memory."""
    limit = plans[0].setting.memory_limit_bytes
    if limit is None or len(plans) == 1:
        return
    needed = memory_here(plans[0], traced, {name for plan in plans for name in plan.edge_layers})
    if needed > limit:
        raise InputError("--adapt", f"all cuts of the policy together need {format_size(needed)} at the edge, the plan's limit is "
                                    f"{format_size(limit)}")  # fmt: skip


def _bytes(plan: Plan, hop: int) -> int:
    return sum(tensor.bytes if tensor.wire_bytes is None else tensor.wire_bytes for tensor in plan.hops[hop - 1])
