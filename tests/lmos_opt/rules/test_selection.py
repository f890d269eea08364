"""Selection rules by hand and, on random fronts, by definitions written another way."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from lmos_opt import Front, InfeasibleError, InputError, pareto_front
from lmos_opt.rules.selection import RULES, latency_taken, select
from lmos_opt.sources import Options, instance_of, load_source
from tests.lmos_opt.documents import front_data

PAPER = [(1.0, 0), (2.0, 6), (4.0, 7), (8.0, 8)]
INFO = {"latency": ("s", "min"), "memory": ("B", "max"), "energy": ("J", "min"),
        **dict.fromkeys(("seconds", "wait", "edge_time"), ("s", "min"))}  # fmt: skip


def front(points: list[tuple[float, ...]], names: tuple[str, ...] = ("latency", "memory"),
          constrained: str | None = "latency") -> Front:  # fmt: skip
    """A front in its order: by the first objective, best first; `x1` numbers the points."""
    return Front.from_dict(front_data() | {
        "objectives": [{"name": name, "unit": INFO[name][0], "sense": INFO[name][1]} for name in names],
        "points": [{"values": dict(zip(names, point, strict=True)), "edge_layers": [f"v{i}" for i in range(k)], "x1": k,
                    "x2": 0} for k, point in enumerate(points)],
        "complete": True, "reason": None, "constrained": constrained,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("lmos", 3),  # the most memory, whatever its latency
        ("knee", 1),  # scaled: (0, 1), (1/7, 1/4), (3/7, 1/8), (1, 0); below the line by 0, 17/28, 25/56, 0
        ("ideal", 1),  # distances 1, 0.288, 0.446, 1
        ("min_latency", 0),
        ("budget:4", 2), ("budget:4s", 2), ("budget:3.999", 1), ("budget:1", 0), ("budget:1000ms", 0), ("budget:99", 3),
        ("slack:0", 0), ("slack:99.9", 0), ("slack:100", 1), ("slack:100%", 1), ("slack:300", 2), ("slack:1e3", 3),
    ],
)  # fmt: skip
def test_the_rules_by_hand(rule, chosen):
    assert front(PAPER).select(rule).x1 == chosen
    assert select(front(PAPER), rule).x1 == chosen


def test_the_literal_ranking_takes_the_best_of_the_optimised_objective():
    assert front(PAPER, constrained="memory").select("lmos").x1 == 0
    assert front(PAPER, constrained=None).select("lmos").x1 == 3
    assert front([(1.0,), (2.0,)], names=("latency",), constrained=None).select("lmos").x1 == 0


def test_the_first_of_equals_is_chosen():
    even = [(0.0, 0), (1.0, 6), (4.0, 9), (10.0, 10)]  # scaled: (.1, .4) and (.4, .1) are equally far off
    assert front(even).select("knee").x1 == 1
    assert front(even).select("ideal").x1 == 1
    line = [(0.0, 0), (1.0, 1), (2.0, 2)]
    assert front(line).select("ideal").x1 == 1


@pytest.mark.parametrize(
    ("points", "chosen"),
    [
        # scaled: (0, 1), (.6, .9), (.8, .1), (1, 0): the second is farthest from the line, the third alone lies below it
        ([(0.0, 0), (6.0, 1), (8.0, 9), (10.0, 10)], 2),
        # scaled: (0, 1), (.5, .9), (.95, .8), (1, 0): all above, and the ends are nearest to the ideal point
        ([(0.0, 0), (5.0, 1), (9.5, 2), (10.0, 10)], 0),
        # scaled: (0, 1), (.5, .6), (.9, .4), (1, 0): all above, and the second is nearest to the ideal point
        ([(0.0, 0), (5.0, 4), (9.0, 6), (10.0, 10)], 1),
        # one straight line, of which rounding puts some points below itself: the middle is nearest to the ideal point
        ([(0.1 * k, k) for k in range(11)], 5),
    ],
)  # fmt: skip
def test_the_knee_lies_on_the_side_of_the_ideal_point_or_is_the_ideal_rules(points, chosen):
    assert front(points).select("knee").x1 == chosen


def test_the_knee_of_vgg19_is_no_choice_that_takes_nearly_the_longest_time():
    """At 10 Mbps its front bends away from the ideal point: the farthest from the line takes 12.1 s of 12.4 s."""
    found = pareto_front(instance_of(load_source("vgg19"), Options(bandwidth="10Mbps")))
    assert found.select("knee") == found.select("ideal")
    assert found.select("knee").values["latency"] < 0.5 * found.nadir["latency"]


@pytest.mark.parametrize("rule", ["lmos", "knee", "ideal", "min_latency", "budget:1", "slack:0"])
@pytest.mark.parametrize("names", [("latency", "memory"), ("latency", "memory", "energy")])
def test_a_front_of_one_point_has_one_answer(rule, names):
    assert front([(1.0, 5, 2.0)[: len(names)]], names).select(rule).x1 == 0


THREE = [(1.0, 0, 9.0), (2.0, 10, 5.0), (3.0, 10, 4.0), (5.0, 8, 1.0)]
"""Scaled: (0, 1, 1), (.25, 0, .5), (.5, 0, .375), (1, .2, 0); sums 2, .75, .875, 1.2; squared distances 2, .3125,
.390625, 1.04."""


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [("lmos", 1), ("knee", 1), ("ideal", 1), ("min_latency", 0), ("budget:3", 1), ("budget:1.5", 0), ("slack:100", 1)],
)
def test_three_objectives_by_hand(rule, chosen):
    assert front(THREE, ("latency", "memory", "energy"), constrained=None).select(rule).x1 == chosen


def test_three_objectives_with_a_constrained_one_rank_the_first_of_the_others():
    assert front(THREE, ("latency", "memory", "energy"), constrained="latency").select("lmos").x1 == 1
    assert front(THREE, ("latency", "memory", "energy"), constrained="memory").select("lmos").x1 == 0


def random_front(seed: int) -> list[tuple[float, int]]:
    """Non-dominated points at the magnitudes of networks: microseconds to seconds, bytes to gigabytes."""
    rng = random.Random(seed)
    size = rng.randint(2, 12)
    latencies = sorted(rng.sample([10 ** rng.uniform(-6, 1) for _ in range(20)], size))
    memories = sorted(rng.sample(range(10 ** rng.randint(2, 10)), size))
    return list(zip(latencies, memories, strict=True))


@pytest.mark.parametrize("seed", range(60))
def test_the_rules_by_their_definitions_in_exact_arithmetic(seed):
    points = random_front(seed)
    found = front(points)
    exact = [(Fraction(latency), Fraction(memory)) for latency, memory in points]
    (t0, m0), (t1, m1) = exact[0], exact[-1]

    def off_the_line(point: tuple[Fraction, Fraction]) -> Fraction:
        """Twice the area between the point and the ends, over the box of both: the distance, times a constant.

        Positive where the point has more memory than the line through the ends at its latency.
        """
        t, m = point
        return ((t1 - t0) * (m - m0) - (t - t0) * (m1 - m0)) / ((t1 - t0) * (m1 - m0))

    def from_the_ideal(point: tuple[Fraction, Fraction]) -> Fraction:
        t, m = point
        return ((t - t0) / (t1 - t0)) ** 2 + ((m1 - m) / (m1 - m0)) ** 2

    tie = Fraction(1, 10**12)
    knee, ideal = exact[found.select("knee").x1 or 0], exact[found.select("ideal").x1 or 0]
    farthest = max(map(off_the_line, exact))
    assert knee == ideal if farthest <= 0 else off_the_line(knee) >= farthest - tie
    assert from_the_ideal(ideal) <= min(map(from_the_ideal, exact)) + tie
    rng = random.Random(seed)
    budget = rng.uniform(points[0][0], points[-1][0])
    assert found.select(f"budget:{budget!r}").x1 == max(k for k, (t, _) in enumerate(points) if t <= budget)
    percent = rng.uniform(0, 1000)
    most = points[0][0] * (1 + percent / 100)
    assert found.select(f"slack:{percent!r}").x1 == max(k for k, (t, _) in enumerate(points) if t <= most)


def test_a_budget_below_the_least_latency_is_infeasible_and_says_what_that_is():
    with pytest.raises(InfeasibleError) as caught:
        front(PAPER).select("budget:0.5")
    assert caught.value.constraints == ("latency budget 0.5 (the least latency is 1 s)",)
    assert caught.value.exit_code == 3


def test_a_front_without_points_has_none_to_select():
    with pytest.raises(InfeasibleError, match="no point"):
        front([]).select("knee")


@pytest.mark.parametrize("rule", ["", "Knee", "best", "cut:3"])
def test_an_unknown_rule_lists_the_known(rule):
    with pytest.raises(InputError) as caught:
        front(PAPER).select(rule)
    assert all(known in str(caught.value) for known in RULES)


@pytest.mark.parametrize("rule", ["budget:x", "budget:-1", "budget:nan", "slack:x", "slack:-1", "slack:nan", "slack:inf"])
def test_a_rules_number_is_checked(rule):
    with pytest.raises(InputError, match="is not a"):
        front(PAPER).select(rule)


@pytest.mark.parametrize("rule", ["min_latency", "budget:1", "slack:0"])
def test_a_rule_about_latency_needs_latency(rule):
    with pytest.raises(InputError, match="the front has no objective 'latency'; it has energy, memory"):
        front([(1.0, 2)], ("energy", "memory"), constrained=None).select(rule)


@pytest.mark.parametrize(
    ("rule", "place"), [("min_latency", 0), ("budget:3s", 1), ("slack:300", 2), ("knee", None), ("lmos", None)]
)
def test_a_latency_of_ones_own_is_taken_and_named(rule, place):
    found = front(PAPER, ("seconds", "memory"), constrained="seconds")
    assert latency_taken(found, rule) == (None if place is None else "seconds")
    assert latency_taken(front(PAPER), rule) is None
    if place is not None:
        assert found.select(rule) is found[place]
        assert found.select(rule).values["seconds"] == front(PAPER).select(rule).values["latency"]


def test_of_two_times_neither_is_the_latency_nor_is_a_part_of_it():
    two = front([(1.0, 5.0, 2), (2.0, 3.0, 6)], ("seconds", "wait", "memory"), constrained=None)
    with pytest.raises(InputError, match=r"memory; seconds and wait are times \(s\), and none of them is called so"):
        two.select("min_latency")
    with pytest.raises(InputError, match=r"the front has no objective 'latency'; it has edge_time, memory$"):
        front(PAPER, ("edge_time", "memory"), constrained=None).select("min_latency")
    with_one = front([(1.0, 5.0, 2)], ("seconds", "latency", "memory"), constrained=None)
    assert latency_taken(with_one, "min_latency") is None
