"""The two entries to policies: `bandwidth_policy` and `memory_policy`.

A rule chooses from the front, so the splits that matter are those that are on a front at some place of the range. For
few splits (a chain has L + 1) all are taken. For a graph with many they come from one front with three objectives.

Over bandwidth: a (everything but the bytes), b (crossing bytes), both least, and memory, most. *Every vector on a front at
some bandwidth is attained by a split of that front.* For if p is on the front at s = 1/B > 0, some split q of the
three-objective front has a(q) <= a(p), b(q) <= b(p), memory(q) >= memory(p). Latency is a + b s, a combination with
non-negative weights, so q is nowhere worse than p in latency and memory; p being non-dominated, q has the same vector.

Over memory: latency least, memory most *and* memory least, since a limit takes away what used to dominate. If p is on
the front under the limit M, some split q of the three-objective front has latency(q) <= latency(p) and the same memory.
So q is within the limit, and as p is non-dominated there, q has the same vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from math import fsum

from lmos_opt import rules, solvers
from lmos_opt.errors import InfeasibleError, InputError, SolverError
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
from lmos_opt.split import down_closed_sets
from lmos_opt.units import parse_rate, parse_size

MOST_SPLITS = 50_000
"""Splits of a graph that are evaluated one by one, in half a minute at most; of more, the front's alone are."""
MOST_LAYERS = 800
"""Layers of a graph whose splits are listed: the listing is as deep as the graph is long, and Python ends at 1000."""


def bandwidth_policy(
    instance: Instance,
    rule: str,
    low: str | float = "1Mbps",
    high: str | float = "200Mbps",
    *,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    solver: str | Solver = "highs",
) -> Policy:
    """The split that a selection rule chooses from the front of latency and memory, for every bandwidth of a range.

    `low` and `high` are B/s or text such as `10Mbps`; the instance's own bandwidth plays no part. Breakpoints are exact:
    see `Policy`. Raises InputError for an unknown rule or an empty range, InfeasibleError where the rule admits no split
    at any bandwidth, SolverError where a graph's candidates could not all be found.
    """
    start, end = parse_rate(low, "low"), parse_rate(high, "high")
    if not start < end:
        raise InputError("range", f"{low} to {high} is empty; expected a lower and a higher bandwidth")
    asked, argument = rules.get(rule)
    limit = instance.memory_limit_bytes
    lines = [line for line in _lines(instance, "bandwidth", memory_model, proper_split, solver)
             if limit is None or line.memory_bytes <= limit]
    if not lines:
        raise InfeasibleError(instance.name, (f"memory limit {limit} B", "proper split (1 <= x1 <= L-1)"))
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
    return _policy(instance, rule, "bandwidth", memory_model, proper_split, lines, _merged(ends, float), (start, end))


def memory_policy(
    instance: Instance,
    rule: str,
    low: str | float = 0,
    high: str | float | None = None,
    *,
    memory_model: MemoryModel = "sum",
    proper_split: bool = False,
    solver: str | Solver = "highs",
) -> Policy:
    """The split that a selection rule chooses, for every memory limit M of a range in whole bytes.

    `high` None is the most that any split uses; the instance's own limit plays no part. Raises as `bandwidth_policy`.
    """
    asked, argument = rules.get(rule)
    lines = _lines(instance, "memory", memory_model, proper_split, solver)
    start = parse_size(low, "low")
    end = max(start, *(line.memory_bytes for line in lines)) if high is None else parse_size(high, "high")
    if start > end:
        raise InputError("range", f"{low} to {high} is empty; expected a lower and a higher limit")
    s = 1 / Fraction(instance.bandwidth_bytes_per_s)
    latencies = one_value([line.at(s) for line in lines])
    front: list[int] = []
    steps: list[tuple[Fraction, int | None]] = [(Fraction(start), None)]
    for k in sorted(range(len(lines)), key=lambda k: (lines[k].memory_bytes, -latencies[k], -k)):
        if lines[k].memory_bytes > end:
            break
        while front and latencies[front[-1]] >= latencies[k]:
            front.pop()  # more memory in no more time: dominated from this limit on
        front.append(k)
        chosen = _select(instance, asked, argument, [(latencies[i], lines[i].memory_bytes) for i in front])
        steps.append((Fraction(max(start, lines[k].memory_bytes)), None if chosen is None else front[chosen]))
    return _policy(instance, rule, "memory", memory_model, proper_split, lines, _merged(steps, int), (start, end))


def _lines(instance: Instance, over: Over, memory_model: MemoryModel, proper_split: bool,
           solver: str | Solver) -> list[LatencyLine]:  # fmt: skip
    """The lines of all splits, or of those that are on a front at some place; see the module's text."""
    instance.check_two("policies are made")
    solver = solvers.get(solver)  # an unknown one is refused whether or not it is needed
    whole = frozenset(instance.names)
    if instance.is_chain:
        sets = [frozenset(instance.names[:n]) for n in range(len(whole) + 1)]
    elif len(whole) <= MOST_LAYERS:
        sets = list(islice(down_closed_sets(instance), MOST_SPLITS + 1))
    else:
        sets = []
    if not 0 < len(sets) <= max(MOST_SPLITS, len(whole) + 1):
        sets = _on_a_front(instance, over, memory_model, proper_split, solver)
    sets = [edge for edge in sets if instance.keeps_together(edge)]
    if proper_split:
        sets = [edge for edge in sets if 0 < len(edge) < len(whole)]
    if not sets:
        raise InfeasibleError(instance.name, ("proper split (1 <= x1 <= L-1)",))
    return lines_of(instance, sets, memory_model)


FIXED = Objective(
    "fixed", "s", "min",
    lambda m, inst: sum([*stages.stages(m, inst)[::2], stages.exchange_time(m, inst, 1), stages.back_time(m, inst, 1)]),
    lambda split: fsum([split.times.t_edge_s, split.times.t_server_s, split.times.rtt_s, split.times.t_back_s]),
)  # fmt: skip
"""Latency less the time of the bytes that cross."""
ROOM = Objective("room", "B", "min", lambda m, inst: m.memory, lambda split: split.memory_bytes, get("memory").granule)
"""Edge memory as something to spare."""


def _on_a_front(instance: Instance, over: Over, memory_model: MemoryModel, proper_split: bool,
                solver: str | Solver) -> list[frozenset[str]]:  # fmt: skip
    from lmos_opt.api import pareto_front

    asked: list[str | Objective] = [FIXED, "tx_bytes", "memory"] if over == "bandwidth" else ["latency", "memory", ROOM]
    if over == "memory":
        instance = instance.replace(memory_limit_bytes=None)
    front = pareto_front(instance, asked, memory_model=memory_model, proper_split=proper_split, solver=solver)
    if not front.complete:
        raise SolverError(front.solver.name, f"not all splits that may be chosen were found: {front.reason}")
    return [frozenset(point.edge_layers or ()) for point in front.points]


_BY_HAND = SolverInfo(name="none", version="")
_OBJECTIVES = tuple(ObjectiveInfo(name=o.name, unit=o.unit, sense=o.sense) for o in (get("latency"), get("memory")))


def _select(instance: Instance, rule: Rule, argument: str, front: Sequence[tuple[Fraction, int]]) -> int | None:
    """What the rule itself chooses of a front, by its place in it; None where it admits nothing.

    The front is not validated: it is not from outside, and there are thousands of them.
    """
    points = tuple(Point.model_construct(values={"latency": float(latency), "memory": memory}) for latency, memory in front)
    whole = Front.model_construct(instance=instance.name, objectives=_OBJECTIVES, points=points, constrained="latency",
                                  solves=0, seconds=0.0, solver=_BY_HAND)
    try:
        return rule.choose(whole, argument)
    except InfeasibleError:
        return None


def _changes(rule: Rule, argument: str, front: Sequence[LatencyLine], chosen: int | None, s: Fraction) -> list[Polynomial]:
    """Polynomials of which one changes its sign before the rule, on a front that stays, chooses another point than at s."""
    if rule.changes is None:
        known = ", ".join(one.name for one in rules.shipped() if one.changes is not None)
        raise InputError("rule", f"where {rule.written!r} changes its choice is not known; it is known of {known}")
    lines = tuple((line.fixed_s, Fraction(line.crossing_bytes)) for line in front)
    return rule.changes(MovingFront(lines, tuple(line.memory_bytes for line in front), s, chosen), argument)


def _merged(
    steps: Sequence[tuple[Fraction, int | None]], number: Callable[[Fraction], float]
) -> list[tuple[float, int | None]]:
    """Steps as numbers, each label from there on: of several at one place the last, of equal neighbours the first."""
    kept: list[tuple[float, int | None]] = []
    for place, label in steps:
        if kept and kept[-1][0] == number(place):
            kept.pop()
        if not kept or kept[-1][1] != label:
            kept.append((number(place), label))
    return kept


def _policy(instance: Instance, rule: str, over: Over, memory_model: MemoryModel, proper_split: bool,
            lines: Sequence[LatencyLine], steps: Sequence[tuple[float, int | None]],
            ends: tuple[float, float]) -> Policy:  # fmt: skip
    low, high = ends
    if all(label is None for _, label in steps):
        raise InfeasibleError(instance.name, (f"rule {rule} at every {over} from {low:g} to {high:g}",))
    found = []
    starts = [(low, steps[0][1]), *steps[1:], (high, None)]
    for (start, label), (end, _) in pairwise(starts):
        line = None if label is None else lines[label]
        layers = None if line is None else tuple(name for name in instance.names if name in line.edge)
        found.append(Stretch(
            low=start, high=end, edge_layers=layers,
            n_layers=None if layers is None else len(instance.layers),
            fixed_s=None if line is None else float(line.fixed_s),
            crossing_bytes=None if line is None else line.crossing_bytes,
            memory_bytes=None if line is None else line.memory_bytes,
        ))  # fmt: skip
    bandwidth = None if over == "bandwidth" else instance.bandwidth_bytes_per_s
    limit = None if over == "memory" else instance.memory_limit_bytes
    return Policy(schema="lmos.policy/1", instance=instance.name, rule=rule, over=over, memory_model=memory_model,
                  proper_split=proper_split, bandwidth_bytes_per_s=bandwidth, memory_limit_bytes=limit,
                  stretches=tuple(found))
