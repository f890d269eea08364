"""`lmos`, the paper's ranking read literally."""

from __future__ import annotations

from lmos_opt.rules.lmos import RULE
from tests.lmos_opt.rules.points import PAPER, changes_at, front


def test_the_best_value_of_the_objective_that_is_not_constrained():
    assert RULE.choose(front(constrained="latency"), "") == 3
    assert RULE.choose(front(constrained="memory"), "") == 0
    assert RULE.choose(front(constrained=None), "") == 3, "memory, where nothing is constrained"
    assert RULE.choose(front(PAPER[:1], constrained="latency"), "") == 0


def test_it_stays_for_as_long_as_the_front_does():
    assert changes_at(RULE, 0.1, 2) == []
