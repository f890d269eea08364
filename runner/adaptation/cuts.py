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
from runner.faults.fallback import memory_here

MOST_CUTS = 8
"""Each has a connection of its own to the server, which by default takes 16 connections from all edges together."""
MARGIN = 0.05
"""A change must be predicted to save this share of the latency; what is nearer than that, predictions do not tell apart."""
BAND = 0.1
"""For rules that are not about latency: the change must be the rule's choice at bandwidths this share lower and higher, too."""


@dataclass(frozen=True)
class Cut:
    """A split: at bandwidth B it is predicted to take `fixed_s + crossing_bytes / B` seconds."""

    edge_layers: tuple[str, ...]
    fixed_s: float
    crossing_bytes: int

    @property
    def x1(self) -> int:
        """Its layers at the edge."""
        return len(self.edge_layers)

    def latency_s(self, bandwidth: float) -> float:
        """What it is predicted to take at a bandwidth (B/s)."""
        return self.fixed_s + self.crossing_bytes / bandwidth


@dataclass(frozen=True)
class Choice:
    """A policy's stretches as cuts; None where the rule admits none."""

    policy: Policy
    planned: Cut
    cuts: tuple[Cut | None, ...]

    @classmethod
    def of(cls, plan: Plan) -> Choice:
        """A plan's policy, and the plan's own cut. InputError where the plan has no policy, or one of too many cuts."""
        plan.check_two("--adapt", "policies are made")
        policy = plan.policy
        if policy is None:
            raise InputError("--adapt", "the plan has no policy to follow; lmos plan --policy 1Mbps..200Mbps writes one into it")
        cuts = tuple(None if one.edge_layers is None or one.fixed_s is None or one.crossing_bytes is None
                     else Cut(one.edge_layers, one.fixed_s, one.crossing_bytes) for one in policy.stretches)  # fmt: skip
        same = (cut for cut in cuts if cut is not None and cut.edge_layers == plan.edge_layers)
        if "latency_s" in plan.unpredicted:
            raise InputError("--adapt", f"the plan predicts no latency to compare with: {plan.unpredicted['latency_s']}")
        fixed_s = float(plan.predicted["latency_s"]) - _bytes(plan) / plan.setting.bandwidth_bytes_per_s
        found = cls(policy, next(same, Cut(plan.edge_layers, max(fixed_s, 0.0), _bytes(plan))), cuts)
        if len(found.different()) > MOST_CUTS:
            raise InputError("--adapt", f"the policy changes between {counted(len(found.different()), 'cut')}, and at most "
                                        f"{MOST_CUTS} are held ready; make it over a narrower range of bandwidths")
        return found

    def different(self) -> list[Cut]:
        """Every cut once, the plan's own first."""
        return list(dict.fromkeys([self.planned, *(cut for cut in self.cuts if cut is not None)]))

    def at(self, bandwidth: float) -> Cut | None:
        """The rule's choice, at the nearest end where the bandwidth lies outside the policy's range."""
        return self.cuts[bisect_right(self.policy.breakpoints, bandwidth)]

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


def plans_of(plan: Plan, choice: Choice) -> list[Plan]:
    """A plan for each cut, the plan itself first. What crosses, and what is predicted, is filled in only there."""
    others = [cut for cut in choice.different() if cut != choice.planned]
    return [plan, *(plan.model_copy(update={"edge_layers": cut.edge_layers, "crossing": ()}) for cut in others)]


def check_memory(plans: Sequence[Plan], traced: TracedNetwork) -> None:
    """InputError where the layers of all cuts together are above the plan's memory limit: their weights stay in memory."""
    limit = plans[0].setting.memory_limit_bytes
    if limit is None or len(plans) == 1:
        return
    needed = memory_here(plans[0], traced, {name for plan in plans for name in plan.edge_layers})
    if needed > limit:
        raise InputError("--adapt", f"all cuts of the policy together need {format_size(needed)} at the edge, the plan's limit is "
                                    f"{format_size(limit)}")  # fmt: skip


def _bytes(plan: Plan) -> int:
    return sum(tensor.bytes if tensor.wire_bytes is None else tensor.wire_bytes for tensor in plan.crossing)
