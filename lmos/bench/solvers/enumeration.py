"""Every split of a chain looked at: no solver at all, and the ground truth for chains."""

from __future__ import annotations

from lmos.bench.cases import Case
from lmos.bench.solvers import ContestAnswer, Contestant, Terms
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.instance import Instance
from lmos_opt.objectives import get


def run(case: Case, terms: Terms) -> ContestAnswer:
    """The front of all L+1 prefixes."""
    assert isinstance(case.problem, Instance)
    return ContestAnswer(tuple(values for values, _ in enumerate_front(case.problem, [get("latency"), get("memory")])))


CONTESTANT = Contestant("enumeration", run, frozenset({"chain"}))
