"""Dominance between fronts, indicators and attainment: by hand and by definition."""

from __future__ import annotations

import random
import sys
from itertools import product

import pytest

from lmos_opt import InputError, MissingExtraError
from lmos_opt.fronts.combining import attainment
from lmos_opt.plots.comparison import draw_attainment, draw_comparison
from tests.lmos_opt.fronts.test_combining import front, values

TRUE = front([(1.0, 2), (2.0, 6), (5.0, 10)])
"""Latency is minimised, memory maximised: scaled, (0, 1), (0.25, 0.5), (1, 0)."""


def test_dominance_between_fronts():
    part = front([(1.0, 2), (2.5, 6), (6.0, 11)])
    assert values_of(part.dominated_by(TRUE)) == [(2.5, 6)]
    assert values_of(TRUE.dominated_by(part)) == []
    assert TRUE.dominated_by(TRUE) == ()
    assert TRUE.covers(TRUE)
    assert not TRUE.covers(part)
    assert TRUE.covers(front([(2.0, 5), (1.0, 2)]))
    assert TRUE.covers(front([]))
    assert not front([]).covers(TRUE)
    assert part.union(TRUE).covers(TRUE)


def values_of(points):
    return [tuple(point.values.values()) for point in points]


@pytest.mark.parametrize("method", ["dominated_by", "covers", "indicators"])
def test_fronts_over_other_objectives_are_not_compared(method):
    with pytest.raises(InputError, match=rf"^{method}: the fronts are over latency \(s, min\), memory \(B, max\) and over .*price"):
        getattr(TRUE, method)(front([(1.0, 2, 3)]))


def test_indicators_by_hand():
    pytest.importorskip("moocore")
    assert TRUE.indicators(TRUE) == {"hypervolume": 1.0, "igd_plus": 0.0, "epsilon": 0.0, "found": 1.0}
    assert front([]).indicators(TRUE) == {"hypervolume": 0.0, "igd_plus": float("inf"), "epsilon": float("inf"), "found": 0.0}
    ends = front([(1.0, 2), (5.0, 10)])
    found = ends.indicators(TRUE)
    whole = 0.25 * 0.1 + 0.75 * 0.6 + 0.1 * 1.1  # up to 1.1 in both, column by column
    assert found["hypervolume"] == pytest.approx((1.1 * 0.1 + 0.1 * 1.0) / whole)
    assert found["epsilon"] == pytest.approx(0.5)  # (0, 1) is 0.5 away from (0.25, 0.5) in its worse objective
    assert found["igd_plus"] == pytest.approx(0.5 / 3)
    assert found["found"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="to measure by has no point"):
        TRUE.indicators(front([]))


@pytest.mark.parametrize("seed", range(4))
def test_attainment_is_what_so_many_runs_reach(seed):
    """On a grid: a cell is attained at a percentile if at least so many percent of the runs have a point that covers it."""
    pytest.importorskip("moocore")
    rng = random.Random(seed)
    runs = [front([(float(rng.randint(0, 6)), rng.randint(0, 6)) for _ in range(rng.randint(1, 4))]) for _ in range(4)]
    found = attainment(runs, [0, 50, 75, 100])
    for percentile, needed in ((0, 1), (50, 2), (75, 3), (100, 4)):
        surface = found[found["percentile"] == percentile]
        for latency, memory in product(range(8), range(8)):
            reached = sum(any(a <= latency and b >= memory for a, b in values(run)) for run in runs) >= needed
            attained = any(a <= latency and b >= memory for a, b in zip(surface["latency"], surface["memory"], strict=True))
            assert reached == attained, (percentile, latency, memory)


def test_attainment_refuses_what_it_cannot_say():
    pytest.importorskip("moocore")
    for fronts, complaint in (([], "there are none"), ([TRUE, front([])], r"fronts\[1\]: the front of toy has no point"),
                              ([TRUE, front([(1.0, 2, 3)])], "expected the same objectives"),
                              ([front([(1.0,)])], "expected two or three objectives")):  # fmt: skip
        with pytest.raises(InputError, match=complaint):
            attainment(fronts)
    with pytest.raises(InputError, match=r"percentiles: got \[120\]; expected numbers from 0 to 100"):
        attainment([TRUE], [120])


def test_without_moocore_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "moocore", None)
    for act in (lambda: TRUE.indicators(TRUE), lambda: attainment([TRUE])):
        with pytest.raises(MissingExtraError, match=r"of (a front|fronts) needs the extra 'indicators'"):
            act()


def test_pictures_of_several_fronts():
    pytest.importorskip("matplotlib")
    part = front([(1.0, 2), (2.5, 6)])
    ax = draw_comparison({"true": TRUE, "part": part})
    labels = ax.get_legend_handles_labels()[1]
    assert {"true", "part", "dominated by another front"} <= {*labels}
    (crossed,) = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert len(crossed.get_xdata()) == 1
    with pytest.raises(InputError, match="there are none"):
        draw_comparison({})
    with pytest.raises(InputError, match=r"fronts\['odd'\]: is over 3 objectives; expected two"):
        draw_comparison({"true": TRUE, "odd": front([(1.0, 2, 3)])})
    pytest.importorskip("moocore")
    drawn = draw_attainment([TRUE, part, front([(3.0, 3)])])
    assert drawn.get_legend_handles_labels()[1] == ["reached by one run at least", "reached by 50 % of the runs",
                                                    "reached by all runs"]  # fmt: skip
    with pytest.raises(InputError, match="expected two objectives"):
        draw_attainment([front([(1.0, 2, 3)])])
