"""The split of a decoder with the least `tpot` as its text grows: exact, from its numbers at two contexts.

Between the two contexts, a layer's time for one more token and its state are taken as lines. So a split's `tpot` is a line too, and
so is its memory at each place, which reaches a limit at some context. A choice holds until another line crosses its own or the
split no longer fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import ceil, floor

from lmos_opt.errors import InfeasibleError, InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.policies.lines import LatencyLine, lines_of
from lmos_opt.policies.policy import Policy, Stretch
from lmos_opt.split import Split, down_closed_sets, nested

MOST_SPLITS = 50_000
"""A chain of 30 layers over 4 places has 5,456."""
RULE = "min_latency"
"""The rule of these policies: the least latency of one more token."""


@dataclass(frozen=True)
class _Line:
    """A split and its `tpot` as a line over the context.

    `first` has the parts of `tpot` at the first context, `first_s` is their sum (s), and `token_s` what each further token adds
    (s). `last` is the last context at which the memory limits hold. `first_bytes` and `token_bytes` are the memory (B) of the first
    place in the same way.
    """

    split: Split
    first: LatencyLine
    first_s: Fraction
    token_s: Fraction
    last: int
    first_bytes: int
    token_bytes: Fraction

    def at(self, tokens: int) -> Fraction:
        """The `tpot` (s) at this number of tokens after the first context."""
        return self.first_s + self.token_s * tokens

    def stretch(self, low: int, high: int, start: int, last: int) -> Stretch:
        """The stretch from `low` on and below `high`, up to `last`."""
        first, *later = self.split.places
        return Stretch(low=low, high=high, edge_layers=first, n_layers=len(self.split.instance.layers) if len(later) == 1 else None,
                       fixed_s=float(self.first.fixed_s + self.token_s * (low - start)), growth_s=float(self.token_s),
                       crossing_bytes=self.first.crossing_bytes, later_layers=tuple(later) if len(later) > 1 else None,
                       memory_bytes=self.first_bytes + ceil(self.token_bytes * (last - start)))  # fmt: skip

    def crossed(self, other: _Line) -> int | None:
        """The number of tokens after the first context from which `other` is better; None if it never is.

        `other` must not be better before.
        """
        if other.token_s >= self.token_s:
            return None
        return floor((other.first_s - self.first_s) / (self.token_s - other.token_s)) + 1


def context_policy(near: Instance, far: Instance, *, memory_model: MemoryModel = "sum", proper_split: bool = False) -> Policy:
    """The split with the least `tpot` within all memory limits, for every context from `near`'s to `far`'s.

    Both are instances of one decoder over the same places, profiled at two contexts. InputError if they are not, or have too many
    splits, InfeasibleError, which names the context, if no split fits any more.
    """
    if near.tokens is None or far.tokens is None or near.tokens.context >= far.tokens.context:
        raise InputError("contexts", "are not those of two instances with tokens, the one with the shorter context first")
    if (near.names, near.hops, near.places, near.tokens.prompt) != (far.names, far.hops, far.places, far.tokens.prompt):
        raise InputError("contexts", "are of instances whose layers, hops, places or prompts are not the same")
    start, end = near.tokens.context, far.tokens.context
    lines = [line for line in _lines(near, far, memory_model) if line.split.is_proper or not proper_split]
    found: list[Stretch] = []
    context = start
    while context <= end:
        fitting = [line for line in lines if line.last >= context]
        if not fitting:
            raise InfeasibleError(near.name, (f"memory limits at a context of {context} tokens",))
        best = min(fitting, key=lambda line: (line.at(context - start), line.token_s))
        crossings = [start + tokens for line in fitting if (tokens := best.crossed(line)) is not None and start + tokens > context]
        high = min([best.last, end, *(crossing - 1 for crossing in crossings)])
        found.append(best.stretch(context, min(high + 1, end), start, high))
        context = high + 1
    return Policy(schema="lmos.policy/1", instance=near.name, rule=RULE, over="context", memory_model=memory_model,
                  proper_split=proper_split, bandwidth_bytes_per_s=near.hops[0].bandwidth_bytes_per_s,
                  memory_limit_bytes=near.memory_limit_bytes, stretches=tuple(found))  # fmt: skip


def _lines(near: Instance, far: Instance, memory_model: MemoryModel) -> Iterator[_Line]:
    """Of every split that fits at the shorter context; the longer one's limits are looked at on the way."""
    assert near.tokens is not None
    assert far.tokens is not None
    start, more = near.tokens.context, far.tokens.context - near.tokens.context
    unlimited = near
    for p in range(1, len(near.places) + 1):
        unlimited = unlimited.with_place(p, memory_limit_bytes=None)
    sets = list(islice(down_closed_sets(unlimited), MOST_SPLITS + 1))
    splits = list(islice(nested(unlimited, sets, memory_model), MOST_SPLITS + 1))
    if len(splits) > MOST_SPLITS:
        raise InputError(near.name, f"has more than {MOST_SPLITS:,} splits, which are looked at one by one")
    s = 1 / Fraction(near.hops[0].bandwidth_bytes_per_s)
    ends = [lines_of([Split.of(one.of_token, split.upto) for split in splits]) for one in (near, far)]
    for split, first, far_one in zip(splits, *ends, strict=True):
        last, memory = start + more, dict[int, tuple[int, Fraction]]()
        for p, place in enumerate(near.places, 1):
            if place.memory_limit_bytes is not None or p == 1:
                held, later = (Split.of(one, split.upto, memory_model).memory_at(p) for one in (near, far))
                memory[p] = held, Fraction(later - held, more)
            if place.memory_limit_bytes is not None:
                last = min(last, _last_within(place.memory_limit_bytes, *memory[p], start, last))
        if last >= start:
            yield _Line(split, first, first.at(s), (far_one.at(s) - first.at(s)) / more, last, *memory[1])


def _last_within(limit: int, held: int, token_bytes: Fraction, start: int, end: int) -> int:
    """The last context at which a place's memory is within its limit; before `start` where it never is."""
    if held > limit:
        return start - 1
    return end if token_bytes <= 0 else min(end, start + floor((limit - held) / token_bytes))
