"""Latency as a line in s = 1/B: by hand, and where the order of lines changes."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lmos_opt import Instance
from lmos_opt.policies.lines import LatencyLine, ever_needed, front_at, lines_of, one_value, roots
from lmos_opt.split import Split
from tests.lmos_opt.documents import chain_data

CHAIN = Instance.from_dict(chain_data(rtt_s=0.5))


def line(fixed_s: float, n_bytes: int, memory: int) -> LatencyLine:
    return LatencyLine(Split(CHAIN, frozenset({f"{fixed_s} {n_bytes} {memory}"})), Fraction(fixed_s), n_bytes, memory)


def test_lines_of_a_chain_by_hand():
    found = lines_of([Split(CHAIN, frozenset(CHAIN.names[:n])) for n in range(4)])
    assert [(one.fixed_s, one.crossing_bytes, one.memory_bytes) for one in found] == [
        (Fraction("0.9375"), 4000, 0), (Fraction("1.125"), 8000, 12100), (Fraction("1.5"), 1000, 13100),
        (Fraction("1.75"), 0, 63140)]  # fmt: skip
    assert found[0].at(Fraction(1, 1000)) == Fraction("4.9375")


def test_what_rounding_tells_apart_is_one_value():
    assert one_value([Fraction(0.1) + Fraction(0.2), Fraction(0.3), Fraction(1)]) == [Fraction(0.3), Fraction(0.3), 1]
    assert one_value([Fraction(0.1) + Fraction(0.2), Fraction(0.3)], [1, 2]) == [Fraction(0.1) + Fraction(0.2), Fraction(0.3)]


def test_a_line_below_another_at_both_ends_is_all_that_is_needed():
    low, high = line(1, 10, 5), line(2, 20, 5)
    steep = line(0.5, 1000, 5)
    assert ever_needed([high, low], Fraction(0), Fraction(1)) == [low]
    assert [one.fixed_s for one in ever_needed([low, steep], Fraction(0), Fraction(1))] == [Fraction(0.5), 1]


def test_the_front_at_a_place_has_the_least_latency_first():
    lines = [line(3, 0, 30), line(2, 10, 20), line(2.5, 10, 10), line(1, 100, 0)]
    assert front_at(lines, Fraction(1, 1000))[0] == (3, 1, 0)
    assert front_at(lines, Fraction(1, 10))[0] == (1, 0) if lines[1].at(Fraction(1, 10)) < 3 else (0,)


@pytest.mark.parametrize(("polynomial", "expected"), [
    ((1,), []), ((0, 0), []), ((-6, 2), [3]), ((1, 0, 1), []), ((0, 0, 3), [0]), ((2, -3, 1), [1, 2]), ((-4, 0, 1), [-2, 2]),
])  # fmt: skip
def test_roots_are_exact(polynomial, expected):
    assert sorted(roots(tuple(map(Fraction, polynomial)))) == expected
