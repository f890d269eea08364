"""Policies: breakpoints by hand, and every choice against fronts enumerated at hundreds of places."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

import pandas as pd
import pytest

from lmos.bench.random_instances import random_instance, with_limit
from lmos_opt import Front, InfeasibleError, InputError, Instance, Point, Policy, bandwidth_policy, memory_policy
from lmos_opt.front import ObjectiveInfo, SolverInfo
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.objectives import get
from lmos_opt.policies import policy_maps
from lmos_opt.policies.lines import LatencyLine, lines_of, pieces, roots
from lmos_opt.policies.policy import Stretch
from lmos_opt.rules import shipped
from lmos_opt.rules.selection import select
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.split import Split, all_splits
from tests.lmos_opt.documents import chain_data, diamond_data, instance_data, layer

OBJECTIVES = [get("latency"), get("memory")]
ROUNDING = 1e-14
"""Latencies nearer than this share of the largest differ by rounding alone."""
SAME = 1e-11
"""Latencies nearer than this, relatively, are equal but for rounding."""
MBPS = 125000.0


def bundled(name: str) -> Instance:
    return instance_of(load_source(name), Options())


def enumerated(instance: Instance, memory_model: str = "sum", proper: bool = False) -> Front:
    """The front of all splits, without what only rounding keeps there."""
    return front_of(instance, enumerate_front(instance, OBJECTIVES, memory_model, proper))


def at_bandwidths(instance: Instance, memory_model: str, proper: bool, places: Sequence[float]) -> Iterator[Front]:
    """`enumerated` at one bandwidth after another, on which no memory depends."""
    splits = [split for split in all_splits(instance, memory_model) if split.exceeds is None and (split.is_proper or not proper)]
    memories = [split.memory_bytes for split in splits]
    for place in places:
        there = with_bandwidth(instance, place)
        latencies = [Split(there, split.edge, memory_model).times.latency_s for split in splits]
        kept: list[tuple[tuple[float, ...], Split]] = []
        for k in sorted(range(len(splits)), key=lambda k: (latencies[k], -memories[k])):
            if not kept or memories[k] > kept[-1][0][1]:  # else one that is as fast holds as much
                kept.append(((latencies[k], memories[k]), splits[k]))
        yield front_of(there, kept)


def front_of(instance: Instance, found: Sequence[tuple[tuple[float, ...], Split]]) -> Front:
    points = [Point.at({"latency": latency, "memory": memory}, split.places) for (latency, memory), split in found]
    largest = points[-1].values["latency"] if points else 0.0
    points = [point for point, following in zip(points, [*points[1:], None], strict=False)
              if following is None or following.values["latency"] - point.values["latency"] > ROUNDING * largest]
    infos = tuple(ObjectiveInfo(name=o.name, unit=o.unit, sense=o.sense) for o in OBJECTIVES)
    return Front(schema="lmos.front/1", instance=instance.name, objectives=infos, points=tuple(points), solves=0, seconds=0,
                 solver=SolverInfo(name="enumeration", version=""), constrained="latency")  # fmt: skip


def with_bandwidth(instance: Instance, bandwidth: float, hop: int = 1) -> Instance:
    hops = [*instance.hops]
    hops[hop - 1] = hops[hop - 1].model_copy(update={"bandwidth_bytes_per_s": bandwidth})
    return instance.model_copy(update={"hops": tuple(hops)})


def choice(front: Front, rule: str) -> Point | None:
    try:
        return select(front, rule)
    except InfeasibleError:
        return None


def agrees(policy: Policy, place: float, bandwidth: float, chosen: Point | None) -> bool:
    """Whether the policy's split at a place has the values of the point chosen there.

    Where rounding alone keeps a point on the enumerated front, the policy may have the one that has more memory.
    """
    try:
        found = policy.at(place)
    except InfeasibleError:
        return chosen is None
    if chosen is None or found.memory_bytes < chosen.values["memory"]:
        return False
    latency = chosen.values["latency"]
    return abs(found.latency_s(bandwidth) - latency) <= SAME * latency


def tied(front: Front, rule: str, bandwidth: float, found: Stretch, chosen: Point | None) -> bool:
    """Whether both are as far off the line but for rounding, or as far from the ideal point, which decides between twins."""
    if rule not in ("knee", "ideal") or chosen is None:
        return False
    (t0, m0), (t1, m1) = front.points[0].values.values(), front.points[-1].values.values()

    def scaled(latency: float, memory: float) -> tuple[float, float]:
        return ((latency - t0) / (t1 - t0), (m1 - memory) / (m1 - m0)) if len(front.points) > 1 else (0.0, 0.0)

    one = scaled(found.latency_s(bandwidth), found.memory_bytes or 0)
    other = scaled(*chosen.values.values())
    return abs(math.hypot(*one) - math.hypot(*other)) < 1e-9 or (rule == "knee" and abs(sum(one) - sum(other)) < 1e-9)


def splits_of(chain: Instance) -> list[LatencyLine]:
    """The latency and memory of every split of a chain."""
    return lines_of([Split(chain, frozenset(chain.names[:n])) for n in range(len(chain.names) + 1)])


def knee_by_definition(lines: list[LatencyLine], bandwidth: float) -> tuple[Fraction, int]:
    """Latency (s) and memory (B) of the knee of all splits of a chain, from the definition, in rational numbers."""
    per_byte_s = 1 / Fraction(bandwidth)
    points: list[tuple[Fraction, int]] = []
    for t, m in sorted(((line.at(per_byte_s), line.memory_bytes) for line in lines), key=lambda value: (value[0], -value[1])):
        if not points or m > points[-1][1]:  # else one that is as fast and holds as much dominates it
            points.append((t, m))
    (t0, m0), (t1, m1) = points[0], points[-1]
    if len(points) < 3:
        return points[0]
    scaled = {point: ((point[0] - t0) / (t1 - t0), Fraction(m1 - point[1], m1 - m0)) for point in points}
    farthest = min(points, key=lambda point: sum(scaled[point]))
    if sum(scaled[farthest]) < 1 - Fraction(1, 10**12):
        return farthest
    return min(points, key=lambda point: scaled[point][0] ** 2 + scaled[point][1] ** 2)


@pytest.mark.parametrize("name", ["vgg19", "alexnet", "mobilenet_v2"])
def test_the_knees_stretches_are_those_of_the_definition_at_every_place(name):
    """500 bandwidths evenly on a logarithmic scale, and both sides of each breakpoint, as near as doubles lie."""
    instance = bundled(name)
    policy = bandwidth_policy(instance, "knee", 0.2 * MBPS, 1000 * MBPS)
    lines = splits_of(instance)
    places = [0.2 * MBPS * 5000 ** (k / 500) for k in range(501)]
    places += [b * (1 + side) for b in policy.breakpoints for side in (-1e-14, 1e-14)]
    for place in places:
        if any(b * (1 - 5e-15) < place < b * (1 + 5e-15) for b in policy.breakpoints):
            continue
        latency, memory = knee_by_definition(lines, place)
        found = policy.at(place)
        assert found.memory_bytes == memory, (place, found.x1)
        assert found.latency_s(place) == pytest.approx(float(latency), rel=1e-12)
    assert policy.breakpoints


def test_a_knee_passes_to_the_ideal_rules_choice_where_the_front_bends_away():
    """The middle of three points: scaled, its latency is (.5 + 10 s) / (1 - 10 s), s in seconds a byte, its memory .4.

    It lies on the ideal point's side of the line down to 160 B/s. Beyond, it is nearest to the ideal point until the square of
    its latency is .84, where the first end, at a distance of 1, is as near.
    """
    layers = [layer("a", "input", edge=0.5, server=0.0, weights=570, out=20),
              layer("b", "a", edge=0.5, server=0.0, weights=400, out=0)]
    instance = Instance.from_dict(instance_data(*layers, input_bytes=10))
    root = math.sqrt(0.84)
    found = bandwidth_policy(instance, "knee", 20.0, 1000.0)
    assert [stretch.x1 for stretch in found.stretches] == [0, 1]
    assert found.breakpoints == (pytest.approx(10 * (1 + root) / (root - 0.5), rel=1e-14),)
    lines = splits_of(instance)
    assert all(knee_by_definition(lines, place)[1] == found.at(place).memory_bytes for place in (40.0, 47.0, 159.0, 161.0))


def rules(instance: Instance) -> list[str]:
    """Every rule, with budgets and slacks that bind somewhere."""
    some = enumerated(instance).points
    between = (some[0].values["latency"] + some[-1].values["latency"]) / 2
    return ["lmos", "min_latency", "knee", "ideal", f"budget:{between!r}", f"budget:{some[0].values['latency']!r}", "slack:0",
            "slack:20", "slack:300"]  # fmt: skip


def check_bandwidths(instance: Instance, memory_model: str = "sum", proper: bool = False, n: int = 500, seed: int = 0) -> int:
    """Compare at n random places and on both sides of every breakpoint; how many breakpoints there were."""
    low, high = 0.2 * MBPS, 1000 * MBPS
    policies = {}
    for rule in rules(instance):
        try:
            policies[rule] = bandwidth_policy(instance, rule, low, high, memory_model=memory_model, proper_split=proper)
        except InfeasibleError:
            policies[rule] = None
    rng = random.Random(seed)
    breakpoints = {b for policy in policies.values() if policy for b in policy.breakpoints}
    places = [low * (high / low) ** rng.random() for _ in range(n)]
    places += [b * side for b in breakpoints for side in (1 - 2e-9, 1 + 2e-9) if low < b * side < high]
    places = [x for x in places if all(abs(x - b) > 1e-9 * b for b in breakpoints)]
    for place, front in zip(places, at_bandwidths(instance, memory_model, proper, places), strict=True):
        for rule, policy in policies.items():
            chosen = choice(front, rule)
            right = chosen is None if policy is None else (
                agrees(policy, place, place, chosen) or tied(front, rule, place, policy.at(place), chosen))
            assert right, (instance.name, rule, place, chosen, policy)
    return len(breakpoints)


@pytest.mark.parametrize(("name", "memory_model", "limit"), [("alexnet", "sum", None), ("vgg19", "peak", 500_000_000)])
@pytest.mark.parametrize("n", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_bundled_chains_at_many_bandwidths(name, memory_model, limit, n):
    instance = bundled(name).replace(memory_limit_bytes=limit, rtt_s=0.01)
    assert check_bandwidths(instance, memory_model, n=n) > 10


def some(few, many):
    """The first seeds always, the others where tests of minutes are asked for."""
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(few, many))]


@pytest.mark.parametrize("seed", some(12, 24))
def test_random_chains(seed):
    instance = random_instance(7000 + seed, 14, shape="chain")
    if seed % 3 == 0:
        instance = with_limit(instance, seed)
    proper = seed % 4 == 1 and len(instance.layers) > 1
    check_bandwidths(instance, "peak" if seed % 2 else "sum", proper, n=60, seed=seed)


@pytest.mark.parametrize("seed", some(8, 16))
def test_random_graphs(seed):
    check_bandwidths(random_instance(8000 + seed, 7, shape="dag"), "peak" if seed % 2 else "sum", n=40, seed=seed)


def test_a_bundled_graph():
    assert check_bandwidths(bundled("squeezenet1_1"), n=20) > 20


@pytest.fixture
def chain() -> Instance:
    """Latencies .4375 + 4000 s, .625 + 8000 s, 1 + 1000 s, 1.75; memories 0, 12100, 13100, 63140."""
    return Instance.from_dict(chain_data())


def steps(policy: Policy) -> list[tuple[float, int | None]]:
    return [(stretch.low, stretch.x1) for stretch in policy.stretches]


def test_breakpoints_by_hand(chain):
    """Cut 3 meets cut 2 at 1000 s = .75, cut 2 meets cut 0 at 3000 s = .5625."""
    found = bandwidth_policy(chain, "min_latency", 100.0, 1e6)
    assert steps(found) == [(100.0, 3), (float(Fraction(4000, 3)), 2), (float(Fraction(16000, 3)), 0)]
    assert (found.low, found.high, found.breakpoints) == (100.0, 1e6, (4000 / 3, 16000 / 3))


def test_a_budget_by_hand(chain):
    """Within a second: cut 0 from 4000 s = .5625 on, cut 1 from 8000 s = .375 on, cut 2 never."""
    found = bandwidth_policy(chain, "budget:1", 100.0, 1e6)
    assert steps(found) == [(100.0, None), (float(Fraction(64000, 9)), 0), (float(Fraction(64000, 3)), 1)]
    with pytest.raises(InfeasibleError, match="toy: infeasible: rule budget:1 at bandwidth 200"):
        found.at(200.0)
    assert found.stretches[0].latency_s(1000.0) == float("inf")


def test_slack_by_hand(chain):
    """Where cut 2 or 3 is the fastest, cut 3 is within 1.5 times that. Where cut 0 is, that is .65625 + 6000 s: above cut 3
    while 6000 s >= 1.09375, above cut 2 while 5000 s >= .34375, above cut 1 while 2000 s <= .03125."""
    found = bandwidth_policy(chain, "slack:50", 100.0, 1e6)
    expected = [(100.0, 3), (6000 / 1.09375, 2), (5000 / 0.34375, 0), (64000.0, 1)]
    assert steps(found) == [(pytest.approx(low, rel=1e-15), x1) for low, x1 in expected]


def test_the_literal_rule_never_changes(chain):
    assert steps(bandwidth_policy(chain, "lmos")) == [(MBPS, 3)]


NEW_RULE = """
from lmos_opt.rules import Rule

RULE = Rule("cheapest", lambda front, _: len(front.points) - 1, lambda _: "the last")
"""


def test_fault_12_a_rule_without_breakpoints_is_refused(chain, new_rule):
    new_rule("cheapest", NEW_RULE)
    with pytest.raises(InputError) as caught:
        bandwidth_policy(chain, "cheapest")
    assert str(caught.value).startswith("rule: where 'cheapest' changes its choice is not known; it is known of lmos, knee, "
                                        "ideal, min_latency, budget, slack")
    assert memory_policy(chain, "cheapest").stretches  # there every limit's front is looked at, by whatever rule


def test_every_selection_rule_has_breakpoints():
    assert all(rule.changes is not None for rule in shipped())


HALFWAY = """
from lmos_opt.rules import Rule
from lmos_opt.rules.moving import combined
from lmos_opt.rules.values import most_memory, values
from fractions import Fraction


def choose(front, share):
    latency = values(front, "latency")
    return most_memory(front, min(latency) + float(share) * (max(latency) - min(latency)), "halfway")


def changes(moving, share):
    return [combined((1, over), (-Fraction(float(share)), moving.spread)) for over in moving.over_least]


RULE = Rule("halfway", choose, lambda share: f"the most within {share} of the way to the slowest", changes, "SHARE")
"""


@pytest.mark.parametrize("name", ["vgg19", "alexnet"])
def test_a_new_rule_with_exact_breakpoints_is_one_new_file(name, new_rule):
    """At 100 bandwidths the policy's choice is the rule's on the front of all splits there; and the choice changes."""
    new_rule("halfway", HALFWAY)
    instance = bundled(name)
    policy = bandwidth_policy(instance, "halfway:0.4", 0.2 * MBPS, 1000 * MBPS)
    for k in range(100):
        place = 0.2 * MBPS * 5000 ** (k / 100)
        assert agrees(policy, place, place, choice(enumerated(with_bandwidth(instance, place)), "halfway:0.4")), place
    assert policy.breakpoints


def test_limits_by_hand(chain):
    """At 1e6 B/s all four splits are on the front, slower with more memory."""
    assert steps(memory_policy(chain, "lmos")) == [(0, 0), (12100, 1), (13100, 2), (63140, 3)]
    assert steps(memory_policy(chain, "min_latency")) == [(0, 0)]
    assert steps(memory_policy(chain, "budget:0.7", 5, 20_000)) == [(5, 0), (12100, 1)]
    assert steps(memory_policy(chain, "lmos", proper_split=True)) == [(0, None), (12100, 1), (13100, 2)]
    whole = memory_policy(chain, "lmos")
    assert [whole.at(m).x1 for m in (0, 12099, 12100, "13.1kB", 63139, 63140)] == [0, 0, 1, 2, 2, 3]


def check_limits(instance: Instance, memory_model: str, seed: int) -> None:
    found = {rule: memory_policy(instance, rule, memory_model=memory_model) for rule in [*rules(instance)[:4], "slack:20"]}
    high = int(max(policy.high for policy in found.values()))
    rng = random.Random(seed)
    changes = {int(b) + d for policy in found.values() for b in policy.breakpoints for d in (-1, 0)}
    for limit in {0, high, *changes, *(rng.randint(0, high) for _ in range(30))}:
        front = enumerated(instance.replace(memory_limit_bytes=limit), memory_model)
        for rule, policy in found.items():
            chosen = choice(front, rule)
            assert agrees(policy, limit, instance.bandwidth_bytes_per_s, chosen) or tied(
                front, rule, instance.bandwidth_bytes_per_s, policy.at(limit), chosen), (rule, limit)  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_random_limits(seed):
    shape = "chain" if seed % 2 else "dag"
    check_limits(random_instance(9000 + seed, 7, shape=shape), "peak" if seed % 3 else "sum", seed)


def test_limits_of_a_bundled_chain():
    check_limits(bundled("alexnet"), "peak", 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [bandwidth_policy, memory_policy])
def test_candidates_from_a_front_are_enough(make, seed, monkeypatch):
    """What a graph with too many splits to list goes through gives the same policy."""
    instance = random_instance(8100 + seed, 6, shape="dag", style="realistic")
    expected = {rule: make(instance, rule) for rule in rules(instance)[:4]}
    monkeypatch.setattr(policy_maps, "MOST_SPLITS", 0)
    for rule, policy in expected.items():
        found = make(instance, rule)
        assert [s.memory_bytes for s in found.stretches] == [s.memory_bytes for s in policy.stretches]
        assert found.breakpoints == pytest.approx(policy.breakpoints, rel=1e-12)


def test_a_front_cut_short_makes_no_policy(monkeypatch):
    from lmos_opt import SolverError, api

    partial = enumerated(Instance.from_dict(diamond_data())).model_copy(update={"complete": False, "reason": "interrupted"})
    monkeypatch.setattr(policy_maps, "MOST_SPLITS", 0)
    monkeypatch.setattr(api, "pareto_front", lambda *_, **__: partial)
    with pytest.raises(SolverError, match="interrupted"):
        bandwidth_policy(Instance.from_dict(diamond_data()), "knee")


def test_files(chain, tmp_path):
    found = bandwidth_policy(chain, "budget:1", 100.0, "8Mbps")
    found.save(tmp_path / "policy.json")
    assert Policy.load(tmp_path / "policy.json") == found
    found.save(tmp_path / "policy.csv")
    frame = pd.read_csv(tmp_path / "policy.csv", keep_default_na=False)
    assert list(frame["x1"]) == ["", "0", "1"]
    assert list(frame["edge_layers"]) == ["", "", "a"]
    assert list(frame["low"]) == pytest.approx([100.0, *found.breakpoints], rel=1e-14)  # as pandas reads them
    assert found.to_frame()["x1"].isna().tolist() == [True, False, False]
    with pytest.raises(InputError, match=r"suffix '.txt'; expected one of .json, .csv"):
        found.save(tmp_path / "policy.txt")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("stretches", 1, "low"), 3.0, r"stretches\[1\].low: got 3.0, but the one before ends at 7111"),
        (("stretches", 2, "high"), 5.0, r"stretches\[2\].high: got 5.0, which does not lie above 21333"),
        (("stretches", 1, "fixed_s"), None, r"stretches\[1\].edge_layers: expected a whole split, or null"),
        (("stretches", 2, "x1"), 2, r"stretches\[2\].x1: got 2, but edge_layers are 1"),
        (("stretches", 0, "low"), -1.0, r"stretches\[0\].low: is negative"),
        (("stretches",), [], r"stretches: is empty"),
        (("over",), "rtt", r"over: got \"rtt\""),
        (("bandwidth_bytes_per_s",), 1e6, r"bandwidth_bytes_per_s: expected null where the policy is over bandwidth"),
    ],
)
def test_a_wrong_file_is_refused_with_its_path(path, value, message, chain):
    data = bandwidth_policy(chain, "budget:1", 100.0, 1e6).to_dict()
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(InputError, match=message):
        Policy.from_dict(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("best",), "not a selection rule"), (("knee", "2Mbps", "1Mbps"), "is empty"), (("knee", "1Mbps", "1Mbps"), "is empty"),
     (("knee", 0.0, 1.0), "greater than zero"), (("slack:x",), "not a percentage"), (("cut:1",), "not a selection rule")],
)  # fmt: skip
def test_bad_arguments(arguments, message, chain):
    with pytest.raises(InputError, match=message):
        bandwidth_policy(chain, *arguments)


def test_bad_limits(chain):
    with pytest.raises(InputError, match="is empty"):
        memory_policy(chain, "knee", 10, 5)
    with pytest.raises(InputError, match="not a selection rule"):
        memory_policy(chain, "best")
    with pytest.raises(InputError, match="outside the policy's range, 10 to 20 B"):
        memory_policy(chain, "knee", 10, 20).at(21)


def test_nothing_admitted_anywhere(chain):
    with pytest.raises(InfeasibleError, match=r"rule budget:0\.1 at every bandwidth from 1 Mbps to 200 Mbps"):
        bandwidth_policy(chain, "budget:0.1")
    one = Instance.from_dict(instance_data(layer("a", "input")))
    with pytest.raises(InfeasibleError, match="proper split"):
        memory_policy(one, "knee", proper_split=True)
    small = Instance.from_dict(chain_data(memory_limit_bytes=5))
    with pytest.raises(InfeasibleError, match="memory limit 5 B"):
        bandwidth_policy(small, "knee", proper_split=True)


def test_roots_keep_their_digits():
    """Of 1e-9 and 1e9, the textbook formula loses the small one."""
    small, large = Fraction(1, 10**9), Fraction(10**9)
    found = sorted(roots((small * large, -small - large, Fraction(1))))
    assert [float(root) for root in found] == [1e-9, 1e9]
    irrational = max(roots((Fraction(-2), Fraction(0), Fraction(1))))
    assert abs(irrational**2 - 2) < Fraction(1, 2**150)
    assert roots((Fraction(1), Fraction(0), Fraction(1))) == []
    assert roots((Fraction(0), Fraction(0), Fraction(0))) == roots((Fraction(3), Fraction(0))) == []
    assert roots((Fraction(3), Fraction(-2))) == [Fraction(3, 2)]


def test_pieces_of_a_known_function():
    """How many places have been passed: two are the ends, one is the very middle, one lies 1e-12 beside it."""
    places = [Fraction(1), Fraction(2), Fraction(5), 5 + Fraction(1, 10**12), Fraction(8), Fraction(9)]

    def look(s: Fraction) -> tuple[int, list[tuple[Fraction, ...]]]:
        return sum(s > p for p in places), [(-p, Fraction(1)) for p in places]

    found = pieces(Fraction(1), Fraction(9), look)
    assert [(piece.low, piece.label) for piece in found] == list(zip(places[:-1], range(1, 6), strict=True))
    assert [piece.high for piece in found] == places[1:]


def test_the_picture_has_a_step_for_each_stretch(chain, tmp_path):
    pytest.importorskip("matplotlib")
    from lmos_opt.plots.policy import save_policy_plot

    found = bandwidth_policy(chain, "min_latency", 1000.0, 1e6)
    ax = found.plot()
    steps_drawn = [line.get_ydata() for line in ax.get_lines() if line.get_linewidth() == 3]
    assert [tuple(ys) for ys in steps_drawn] == [(3, 3), (2, 2), (0, 0)]
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "bandwidth (Mbps)")
    assert [note.get_text() for note in ax.texts] == ["c", "b", "(none)"]
    assert ax.get_xlim() == pytest.approx((0.008, 8.0))
    limits = memory_policy(chain, "lmos")
    assert limits.plot().get_xscale() == "linear"
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".html", b"<")):
        save_policy_plot(limits, tmp_path / f"p{suffix}")
        assert (tmp_path / f"p{suffix}").read_bytes().startswith(start)
    with pytest.raises(InputError, match="suffix"):
        save_policy_plot(limits, tmp_path / "p.gif")


def test_what_only_rounding_tells_apart_is_one_value():
    """Branches of .1 + .2 and of .3 seconds: as doubles they differ by 3e-17, and the one with a byte less would stay."""
    layers = [layer("a", "input", edge=0.1, server=0.0, weights=10, out=0),
              layer("b", "a", edge=0.2, server=0.0, weights=10, out=0),
              layer("c", "input", edge=0.3, server=0.0, weights=21, out=0)]  # fmt: skip
    instance = Instance.from_dict(instance_data(*layers))
    a, ab, c = lines_of([Split(instance, frozenset(edge)) for edge in ("a", "ab", "c")])
    assert (a.fixed_s, ab.fixed_s, c.fixed_s) == (Fraction(0.1), Fraction(0.3), Fraction(0.3))
    assert (ab.crossing_bytes, c.crossing_bytes, c.memory_bytes - ab.memory_bytes) == (4000, 4000, 1)
    budget = bandwidth_policy(instance, f"budget:{0.3 + 4000 / 1e6!r}", 1e3, 1e7)
    assert [stretch.edge_layers for stretch in budget.stretches if stretch.memory_bytes == ab.memory_bytes] == []
