"""The two entries to policies: `bandwidth_policy` and `memory_policy`.

A rule chooses from a front, so only splits matter that are on the front for some value of the range. If there are few splits (a
chain of L layers over one hop has L + 1), all are used. If there are many, they come from one front with three objectives.

Over a hop's bandwidth the three objectives are a (the latency without the bytes that cross the hop) and b (these bytes), both
minimised, and memory, maximised. *Every vector that is on a front at some bandwidth is attained by a split of this front.* Proof:
let p be on the front at s = 1/B > 0. Some split q of the three-objective front has a(q) <= a(p), b(q) <= b(p) and
memory(q) >= memory(p). The latency is a + b s, with s > 0, so q is not worse than p in latency and memory. Because p is
non-dominated, q has the same vector.

Over a place's memory limit the three objectives are latency, minimised, memory, maximised, *and* the place's own memory, minimised.
The third one is needed because a limit may exclude the split that dominates another one. Proof: let p be on the front under the
limit M. Some split q of the three-objective front has latency(q) <= latency(p), memory(q) >= memory(p), and needs at most as much
memory at the place. So q is within the limit. Because p is non-dominated there, q has the same vector. At the first place, its own
memory is `memory`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, islice, pairwise
from math import fsum
from typing import Any

from lmos_opt import rules, solvers
from lmos_opt.errors import InfeasibleError, InputError, SolverError
from lmos_opt.files import LARGEST_NUMBER, LARGEST_WHOLE, LEAST_RATE
from lmos_opt.formulation import stages
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front, ObjectiveInfo, Point, SolverInfo
from lmos_opt.instance import Instance
from lmos_opt.objectives import Objective, get
from lmos_opt.policies.lines import LatencyLine, Piece, ever_needed, front_at, lines_of, one_value, pieces
from lmos_opt.policies.policy import Over, Policy, Stretch
from lmos_opt.rules import Rule
from lmos_opt.rules.moving import MovingFront, Polynomial
from lmos_opt.solvers import Solver
from lmos_opt.split import Split, down_closed_sets, nested
from lmos_opt.units import format_rate, parse_rate, parse_size

MOST_SPLITS = 50_000
"""Up to this number, splits are evaluated one by one, in half a minute at most; of more splits, only those of the front."""


def bandwidth_policy(
    instance: Instance,
    rule: str,
    low: str | float = "1Mbps",
    high: str | float = "200Mbps",
    *,
    hop: int = 1,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    solver: str | Solver = "highs",
) -> Policy:
    """The split that a selection rule chooses from the front of latency and memory, for every bandwidth of a hop in a range.

    `low` and `high` are B/s or text such as `10Mbps`; the hop's own bandwidth is not used. Hops are counted from 1. Breakpoints are
    exact: see `Policy`. Raises InputError for an unknown rule or hop or an empty range, InfeasibleError if the rule admits no split
    at any bandwidth, SolverError if not all candidates of a graph could be found.
    """
    over = Over("bandwidth", hop).of(instance.name, len(instance.places))
    start, end = rates_of(low, high)
    asked, argument = rules.get(rule)
    lines = _lines(instance, over, memory_model, proper_split, solver)
    slow, fast = 1 / Fraction(start), 1 / Fraction(end)  # in seconds a byte, the other way round
    lines = ever_needed(lines, fast, slow)
    found: list[Piece[int | None]] = []
    for part in pieces(fast, slow, lambda s: front_at(lines, s)):
        front = [lines[k] for k in part.label]

        def look(s: Fraction, front: list[LatencyLine] = front, indices: tuple[int, ...] = part.label
                 ) -> tuple[int | None, list[Polynomial]]:  # fmt: skip
            chosen = _select(instance, asked, argument, [(line.at(s), line.memory_bytes) for line in front])
            return None if chosen is None else indices[chosen], _changes(asked, argument, front, chosen, s)

        found += pieces(part.low, part.high, look)
    ends = [(1 / piece.high, piece.label) for piece in reversed(found)]
    return _policy(instance, _Asked(rule, over, memory_model, proper_split), lines, _merged(ends, float), (start, end))


def rates_of(low: str | float, high: str | float, what: str = "range") -> tuple[float, float]:
    """The ends (B/s) of a range of bandwidths; InputError, about `what`, if it is empty or a link has no such bandwidth."""
    start, end = parse_rate(low, what), parse_rate(high, what)
    if not start < end:
        raise InputError(what, f"{low} to {high} is empty; expected a lower and a higher bandwidth")
    if start < LEAST_RATE or end > LARGEST_NUMBER:
        raise InputError(what, f"{low} to {high} is not within {LEAST_RATE:g} to {LARGEST_NUMBER:g} B/s")
    return start, end


def memory_policy(
    instance: Instance,
    rule: str,
    low: str | float = 0,
    high: str | float | None = None,
    *,
    place: int = 1,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    solver: str | Solver = "highs",
) -> Policy:
    """The split that a selection rule chooses, for every memory limit M of a place in a range of whole bytes.

    `high` None is the most memory that any split uses there. The place's own limit is not used, those of other places are. Places
    are counted from 1. Raises as `bandwidth_policy`.
    """
    over = Over("memory", place).of(instance.name, len(instance.places))
    asked, argument = rules.get(rule)
    lines = _lines(instance, over, memory_model, proper_split, solver)
    needs = [line.split.memory_at(place) for line in lines]
    start = parse_size(low, "low")
    end = max(start, *needs) if high is None else parse_size(high, "high")
    if start > end:
        raise InputError("range", f"{low} to {high} is empty; expected a lower and a higher limit")
    if end > LARGEST_WHOLE:
        raise InputError("range", f"{high!s:.60} is larger than {LARGEST_WHOLE} bytes")
    s = 1 / Fraction(instance.hops[0].bandwidth_bytes_per_s)
    latencies = one_value([line.at(s) for line in lines])
    vectors = [(latency, line.memory_bytes) for latency, line in zip(latencies, lines, strict=True)]
    front: list[int] = []
    steps: list[tuple[Fraction, int | None]] = [(Fraction(start), None)]
    order = sorted((k for k, need in enumerate(needs) if need <= end), key=lambda k: (needs[k], k))
    for need, admitted in groupby(order, key=lambda k: needs[k]):
        grown = front
        for k in admitted:
            grown = _with(grown, k, vectors)
        if grown is not front:
            front = grown
            chosen = _select(instance, asked, argument, [vectors[i] for i in front])
            steps.append((Fraction(max(start, need)), None if chosen is None else front[chosen]))
    return _policy(instance, _Asked(rule, over, memory_model, proper_split), lines, _merged(steps, int), (start, end))


def _with(front: list[int], k: int, vectors: Sequence[tuple[Fraction, int]]) -> list[int]:
    """The front with one more split, sorted by latency and so by memory; the same front if one of its splits is as good."""
    latency, memory = vectors[k]
    at = bisect_right(front, latency, key=lambda i: vectors[i][0])
    if at and vectors[front[at - 1]][1] >= memory:
        return front
    first = bisect_left(front, latency, key=lambda i: vectors[i][0])  # a split as fast with less memory is removed too
    last = next((j for j in range(first, len(front)) if vectors[front[j]][1] > memory), len(front))
    return [*front[:first], k, *front[last:]]


def _lines(instance: Instance, over: Over, memory_model: MemoryModel, proper_split: bool,
           solver: str | Solver) -> list[LatencyLine]:  # fmt: skip
    """The lines of all admitted splits, or, if splits are too many, of those that may be chosen (see the module's docstring).

    If a memory limit is the quantity that varies, it admits all splits here. Raises InfeasibleError if no split is admitted.
    """
    solver = solvers.get(solver)  # an unknown one is refused whether or not it is needed
    if over.kind == "memory":
        instance = instance.with_place(over.number, memory_limit_bytes=None)
    sets = list(islice(down_closed_sets(instance), MOST_SPLITS + 1))
    splits = list(islice(nested(instance, sets, memory_model), MOST_SPLITS + 1))
    if len(splits) > MOST_SPLITS:
        splits = _on_a_front(instance, over, memory_model, proper_split, solver)
    splits = [split for split in splits if split.exceeds is None and (split.is_proper or not proper_split)]
    if not splits:
        limits = [f"memory limit {place.memory_limit_bytes} B" + ("" if p == 1 else f" at {place.name}")
                  for p, place in enumerate(instance.places, 1) if place.memory_limit_bytes is not None]
        raise InfeasibleError(instance.name, (*limits, *(["proper split (1 <= x1 <= L-1)"] if proper_split else [])))
    return lines_of(splits, over.number if over.kind == "bandwidth" else 1)


def _fixed(h: int) -> Objective:
    """The objective: latency without the time of the bytes that cross hop h."""
    def expression(m: Any, instance: Instance) -> Any:
        places = (stages.place_time(m, instance, p) for p in range(1, len(instance.places) + 1))
        others = (stages.bytes_time(m, instance, g) for g in range(1, len(instance.places)) if g != h)
        rest = (part(m, instance, g) for g in range(1, len(instance.places)) for part in (stages.exchange_time, stages.back_time))
        return sum([*places, *others, *rest])

    def value(split: Split) -> float:
        hops = [time for g, hop in enumerate(split.times.hops, 1)
                for time in (hop.rtt_s, hop.t_back_s, *([hop.t_bytes_s] if g != h else []))]
        return fsum([*split.times.t_place_s, *hops])

    return Objective("fixed", "s", "min", expression, value)


def _on_a_front(instance: Instance, over: Over, memory_model: MemoryModel, proper_split: bool,
                solver: str | Solver) -> list[Split]:  # fmt: skip
    from lmos_opt.api import pareto_front

    asked: list[str | Objective] = ([_fixed(over.number), f"tx_bytes:{over.number}", "memory"] if over.kind == "bandwidth" else
                                    ["latency", "memory", f"footprint:{over.number}"])  # fmt: skip
    front = pareto_front(instance, asked, memory_model=memory_model, proper_split=proper_split, solver=solver)
    if not front.complete:
        raise SolverError(front.solver.name, f"not all splits that may be chosen were found: {front.reason}")
    return [Split.at(instance, point.places, memory_model) for point in front.points]


_BY_HAND = SolverInfo(name="none", version="")
_OBJECTIVES = tuple(ObjectiveInfo(name=o.name, unit=o.unit, sense=o.sense) for o in (get("latency"), get("memory")))


def _select(instance: Instance, rule: Rule, argument: str, front: Sequence[tuple[Fraction, int]]) -> int | None:
    """The index of the point of a front that the rule chooses; None if it admits no point.

    The front is not validated, because it is made here, and there are thousands of them.
    """
    points = tuple(Point.model_construct(values={"latency": float(latency), "memory": memory}) for latency, memory in front)
    whole = Front.model_construct(instance=instance.name, objectives=_OBJECTIVES, points=points, constrained="latency",
                                  solves=0, seconds=0.0, solver=_BY_HAND)
    try:
        return rule.choose(whole, argument)
    except InfeasibleError:
        return None


def _changes(rule: Rule, argument: str, front: Sequence[LatencyLine], chosen: int | None, s: Fraction) -> list[Polynomial]:
    """Polynomials. Before the rule chooses another point than at s on the same front, one of them changes its sign."""
    if rule.changes is None:
        known = ", ".join(one.name for one in rules.shipped() if one.changes is not None)
        raise InputError("rule", f"where {rule.written!r} changes its choice is not known; it is known of {known}")
    lines = tuple((line.fixed_s, Fraction(line.crossing_bytes)) for line in front)
    return rule.changes(MovingFront(lines, tuple(line.memory_bytes for line in front), s, chosen), argument)


def _merged(
    steps: Sequence[tuple[Fraction, int | None]], number: Callable[[Fraction], float]
) -> list[tuple[float, int | None]]:
    """Steps as numbers. A label holds from its number on. Of several at one number the last is kept, of equal neighbours the first.
    """
    kept: list[tuple[float, int | None]] = []
    for place, label in steps:
        if kept and kept[-1][0] == number(place):
            kept.pop()
        if not kept or kept[-1][1] != label:
            kept.append((number(place), label))
    return kept


@dataclass(frozen=True)
class _Asked:
    """The question that a policy answers."""

    rule: str
    over: Over
    memory_model: MemoryModel
    proper_split: bool


def _policy(instance: Instance, asked: _Asked, lines: Sequence[LatencyLine], steps: Sequence[tuple[float, int | None]],
            ends: tuple[float, float]) -> Policy:  # fmt: skip
    low, high = ends
    if all(label is None for _, label in steps):
        shown = [format_rate(end) if asked.over.kind == "bandwidth" else f"{end:.0f} B" for end in ends]
        raise InfeasibleError(instance.name, (f"rule {asked.rule} at every {asked.over} from {' to '.join(shown)}",))
    starts = [(low, steps[0][1]), *steps[1:], (high, None)]
    found = tuple(_stretch(start, end, None if label is None else lines[label]) for (start, label), (end, _) in pairwise(starts))
    over = asked.over
    bandwidth = None if over.kind == "bandwidth" else instance.hops[0].bandwidth_bytes_per_s
    limit = None if over.kind == "memory" else instance.memory_limit_bytes
    return Policy(schema="lmos.policy/1", instance=instance.name, rule=asked.rule, over=str(over), memory_model=asked.memory_model,
                  proper_split=asked.proper_split, bandwidth_bytes_per_s=bandwidth, memory_limit_bytes=limit, stretches=found)


def _stretch(low: float, high: float, line: LatencyLine | None) -> Stretch:
    if line is None:
        return Stretch(low=low, high=high, edge_layers=None, n_layers=None, fixed_s=None, crossing_bytes=None, memory_bytes=None)
    first, *later = line.split.places
    return Stretch(low=low, high=high, edge_layers=first, n_layers=len(line.split.instance.layers) if len(later) == 1 else None,
                   fixed_s=float(line.fixed_s), crossing_bytes=line.crossing_bytes, memory_bytes=line.memory_bytes,
                   later_layers=tuple(later) if len(later) > 1 else None)  # fmt: skip
