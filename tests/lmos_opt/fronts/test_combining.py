"""Fronts as sequences, put together and measured: against every pair of points, and against volumes counted cell by cell."""

from __future__ import annotations

import random
import sys
from itertools import product

import pytest

from lmos_opt import Front, InputError, MissingExtraError
from tests.lmos_opt.documents import front_data

INFO = [{"name": "latency", "unit": "s", "sense": "min"}, {"name": "memory", "unit": "B", "sense": "max"},
        {"name": "price", "unit": "EUR", "sense": "min"}]  # fmt: skip


def front(points: list[tuple[float, ...]], **changes: object) -> Front:
    """A front over as many of latency, memory and price as its points have."""
    infos = INFO[: len(points[0])] if points else INFO[:2]
    return Front.from_dict(front_data() | {
        "objectives": infos, "complete": True, "reason": None, "constrained": None,
        "points": [{"values": dict(zip([info["name"] for info in infos], point, strict=True)), "edge_layers": [], "x1": 0, "x2": 3}
                   for point in points], **changes})  # fmt: skip


def values(found: Front) -> list[tuple[float, ...]]:
    return [tuple(point.values.values()) for point in found]


def test_a_front_is_a_sequence_of_its_points():
    found = front([(1.0, 2), (3.0, 4)])
    assert len(found) == 2
    assert [*found] == [*found.points]
    assert (found[0], found[-1]) == found.points
    with pytest.raises(IndexError):
        found[2]
    assert len(front([])) == 0
    assert Front.from_dict(found.to_dict()) == found
    assert found.model_copy() == found


@pytest.mark.parametrize("seed", range(20))
def test_a_union_has_every_point_that_no_other_dominates_once(seed):
    rng = random.Random(seed)

    def some() -> list[tuple[float, int]]:
        return sorted({(float(rng.randint(0, 12)), rng.randint(0, 12)) for _ in range(rng.randint(0, 12))})

    def efficient(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
        return [p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)]

    one, other = efficient(some()), efficient(some())
    assert values(front(one).union(front(other))) == efficient(sorted({*one, *other}))


def test_a_union_is_as_whole_as_both_fronts():
    whole, part = front([(1.0, 2)], solves=3, seconds=0.5), front([(0.5, 1)], solves=4, seconds=1.0, complete=False, reason="late")
    found = whole.union(part)
    assert (found.complete, found.reason, found.solves, found.seconds) == (False, "late", 7, 1.5)
    assert whole.union(whole) == whole.model_copy(update={"solves": 6, "seconds": 1.0})
    assert found.instance == whole.instance
    assert whole.union(front([(0.5, 1)], instance="other")).instance == f"{whole.instance}, other"
    assert Front.from_dict(found.to_dict()) == found


def test_fronts_over_different_objectives_have_no_union():
    with pytest.raises(InputError, match=r"over latency \(s, min\), memory \(B, max\) and over latency .*, price \(EUR, min\)"):
        front([(1.0, 2)]).union(front([(1.0, 2, 3.0)]))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_the_hypervolume_is_the_number_of_unit_cells_that_some_point_dominates(seed, dimensions):
    pytest.importorskip("moocore")
    rng = random.Random(seed)
    points = sorted({tuple(float(rng.randint(0, 6)) for _ in range(dimensions)) for _ in range(8)})
    signs = [1, -1, 1][:dimensions]
    reference = [7.0, -1.0, 7.0][:dimensions]
    cells = sum(any(all(s * p <= s * (c if s > 0 else c + 1) for s, p, c in zip(signs, one, cell, strict=True)) for one in points)
                for cell in product(*(range(7) if s > 0 else range(-1, 7) for s in signs)))  # fmt: skip
    found = front(points).hypervolume(dict(zip(("latency", "memory", "price"), reference, strict=False)))
    assert found == pytest.approx(cells)


def test_without_a_reference_it_is_the_nadir_point():
    pytest.importorskip("moocore")
    found = front([(1.0, 0), (2.0, 6), (4.0, 7), (8.0, 8)])  # 6 * 6 from 2 s to 8 s, and 1 * 4 above from 4 s
    assert found.hypervolume() == pytest.approx(6 * 6 + 4 * 1)
    assert found.hypervolume({"latency": 0.5, "memory": 0}) == 0.0
    assert front([(1.0, 2)]).hypervolume() == front([]).hypervolume() == 0.0


@pytest.mark.parametrize("reference", [{}, {"latency": 1.0}, {"latency": 1.0, "memory": float("nan")},
                                       {"latency": 1.0, "memory": 0, "price": 1}])  # fmt: skip
def test_a_reference_point_has_a_value_for_each_objective(reference):
    pytest.importorskip("moocore")
    with pytest.raises(InputError, match="expected a finite number for each of latency, memory"):
        front([(1.0, 2)]).hypervolume(reference)


def test_without_moocore_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "moocore", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lmos\[indicators\]'"):
        front([(1.0, 2)]).hypervolume()
