"""This project's engine: `pareto_front` for a split, `trace_front` on a Pyomo model for anything else."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from lmos.bench.cases import Case, IntegerProgram
from lmos.bench.solvers import ContestAnswer, Contestant, Terms
from lmos_opt import Instance, pareto_front, trace_front


def run(case: Case, terms: Terms) -> ContestAnswer:
    """Trace the front; Pyomo builds the model first."""
    if isinstance(case.problem, Instance):
        front = pareto_front(case.problem, time_limit_s=terms.time_limit_s)
    else:
        front = trace_front(*pyomo_model(case.problem), time_limit_s=terms.time_limit_s)
    if front.reason == "interrupted":
        raise KeyboardInterrupt
    values = tuple(tuple(point.values[name] for name in front.names) for point in front.points)
    return ContestAnswer(values, front.solves, front.complete, front.reason or "")


def pyomo_model(program: IntegerProgram) -> tuple[Any, list[Any]]:
    """The program as a Pyomo model, and its objectives."""
    m = pyo.ConcreteModel(program.name)
    n = range(len(program.upper))
    m.x = pyo.Var(n, domain=pyo.NonNegativeIntegers, bounds=lambda m, k: (0, program.upper[k]))
    m.rows = pyo.ConstraintList()
    for row, relation, bound in zip(program.A, program.relations, program.b, strict=True):
        body = sum(row[k] * m.x[k] for k in n)
        m.rows.add({"<=": body <= bound, ">=": body >= bound, "==": body == bound}[relation])
    m.goal = pyo.ObjectiveList()
    for c, c0, sense in zip(program.c, program.c0, program.sense, strict=True):
        m.goal.add(expr=sum(c[k] * m.x[k] for k in n) + c0, sense=pyo.maximize if sense == "max" else pyo.minimize)
    return m, list(m.goal.values())


CONTESTANT = Contestant("ours", run, frozenset({"chain", "graph", "program"}))
