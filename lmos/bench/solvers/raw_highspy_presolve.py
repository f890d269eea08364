"""The same loop with presolve on, as HiGHS comes: it may call a feasible subproblem infeasible, and points are lost."""

from __future__ import annotations

from functools import partial

from lmos.bench.solvers import Contestant
from lmos.bench.solvers.raw_highspy import run

CONTESTANT = Contestant("raw_highspy_presolve", partial(run, presolve="on"), frozenset({"chain", "graph", "program"}),
                        most_objectives=2)
