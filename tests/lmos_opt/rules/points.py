"""Fronts of latency and memory by their points, and the same fronts as they move with the bandwidth."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lmos_opt import Front
from lmos_opt.rules import Rule
from lmos_opt.rules.moving import MovingFront
from tests.lmos_opt.documents import front_data

PAPER = [(1.0, 0), (2.0, 6), (4.0, 7), (8.0, 8)]
"""Latency (s) and memory (B). Scaled costs: (0, 1), (1/7, 1/4), (3/7, 1/8), (1, 0)."""


def front(points: Sequence[tuple[float, int]] = PAPER, constrained: str | None = "latency") -> Front:
    """A front of latency and memory."""
    return Front.from_dict(front_data() | {
        "objectives": [{"name": "latency", "unit": "s", "sense": "min"}, {"name": "memory", "unit": "B", "sense": "max"}],
        "points": [{"values": {"latency": latency, "memory": memory}, "edge_layers": [f"v{i}" for i in range(k)], "x1": k, "x2": 0}
                   for k, (latency, memory) in enumerate(points)],
        "complete": True, "reason": None, "constrained": constrained,
    })  # fmt: skip


def choice(rule: Rule, points: Sequence[tuple[float, int]] = PAPER, argument: str = "") -> int:
    """The place of the point that a rule chooses."""
    return rule.choose(front(points), argument)


LINES = (((0, 4), 0), ((1, 2), 6), ((3, 0), 7))
"""Fixed latency and bytes of three splits, and their memories: at s = 1 their latencies are 4, 3 and 3."""


def changes_at(rule: Rule, s: float, chosen: int | None, argument: str = "") -> list[Fraction]:
    """Where in (0, 2) one of a rule's polynomials is zero, of three lines that are ordered by latency at s = 1/10."""
    lines = tuple((Fraction(fixed), Fraction(size)) for (fixed, size), _ in LINES)
    moving = MovingFront(lines, tuple(memory for _, memory in LINES), Fraction(s), chosen)
    assert rule.changes is not None
    found = set()
    for polynomial in rule.changes(moving, argument):
        values = [sum(c * Fraction(k, 1000) ** n for n, c in enumerate(polynomial)) for k in range(1, 2000)]
        found |= {Fraction(k + 1, 1000) for k, value in enumerate(values) if value == 0}
    return sorted(found)
