"""The least latency alone, as a minimum cut by networkx: one point of the front, in polynomial time."""

from __future__ import annotations

from lmos.bench.cases import Case
from lmos.bench.solvers import ContestAnswer, Contestant, Terms
from lmos_opt.instance import Instance
from lmos_opt.rules.min_cut import min_cut


def run(case: Case, terms: Terms) -> ContestAnswer:
    """One split of least latency."""
    assert isinstance(case.problem, Instance)
    split = min_cut(case.problem)
    return ContestAnswer(((split.times.latency_s, split.memory_bytes),))


def _load() -> None:
    import networkx  # noqa: F401


CONTESTANT = Contestant("networkx_min_cut", run, frozenset({"chain", "graph"}), gives="least", load=_load)
