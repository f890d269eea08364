"""Vectors completed from edge sets: they satisfy every row, and a block that nobody knows of is completed as well."""

from __future__ import annotations

import numpy as np
import pytest

from lmos.bench.random_instances import random_instance
from lmos_opt import Instance, Objective, pareto_front
from lmos_opt.formulation import build_model
from lmos_opt.fronts.evaluation import Evaluation
from lmos_opt.objectives import get
from lmos_opt.programs.compiling import compile_model
from lmos_opt.split import Split, down_closed_sets

OFFERED = [get("latency"), get("memory")]


def evaluation(instance: Instance, memory_model: str, **options: object) -> tuple[Evaluation, object]:
    m = build_model(instance, memory_model=memory_model, **options)
    milp, forms, columns = compile_model(m, [o.expression(m, instance) for o in OFFERED])
    return Evaluation(instance, memory_model, False, OFFERED, forms, m, milp, columns), milp


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
@pytest.mark.parametrize("seed", range(12))
def test_every_edge_set_is_completed_to_a_solution_with_the_values_of_the_split(seed, memory_model):
    """Nothing is left of the vector's own values: it was made of other numbers."""
    instance = random_instance(seed, most_layers=7)
    found, milp = evaluation(instance, memory_model)
    m = build_model(instance, memory_model=memory_model)
    _, forms, _ = compile_model(m, [o.expression(m, instance) for o in OFFERED])
    for edge in down_closed_sets(instance):
        x = np.full(len(milp.variables), 0.25)
        x[found.deciders] = [v in edge for v in instance.names]
        full = found._completed(x, Split(instance, edge, memory_model))
        assert milp.broken(full) is None
        for form, objective in zip(forms, OFFERED, strict=True):
            assert form.at(full) == pytest.approx(objective.value(Split(instance, edge, memory_model)), rel=1e-9)
        assert found.split(x).edge == edge


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_the_edge_set_alone_is_decided(memory_model):
    instance = random_instance(3, most_layers=7)
    found, milp = evaluation(instance, memory_model)
    assert [milp.variables[k] for k in found.deciders] == [f"edge[{v}]" for v in instance.names]
    assert found.decisive


ARCS = """
import pyomo.environ as pyo

from lmos_opt.formulation import derive


def add(m, instance):
    arcs = [(u, v) for u, v in instance.arcs if u != "input"]
    m.cut = pyo.Var(range(len(arcs)), bounds=(0, 1))
    derive(m, m.cut.values(), lambda split: [u in split.edge and v not in split.edge for u, v in arcs])
    m.cutting = pyo.ConstraintList()
    for k, (u, v) in enumerate(arcs):
        m.cutting.add(m.cut[k] == m.edge[u] - m.edge[v])
"""


@pytest.mark.parametrize("seed", range(8))
def test_a_new_block_with_variables_of_its_own_is_one_new_file(seed, new_block):
    """An objective over the arcs that are cut, and a limit of them, beside all edge sets; the arcs are no solution of a user's."""
    new_block("arcs_cut", ARCS)
    instance = random_instance(seed, most_layers=7)
    arcs = [(u, v) for u, v in instance.arcs if u != "input"]

    def count(edge: frozenset[str]) -> int:
        return sum(u in edge and v not in edge for u, v in arcs)

    def few(m: object, _: Instance) -> object:
        return sum(m.cut.values()) <= 2 if arcs else []

    cuts = Objective("arcs", "", "min", lambda m, _: sum(m.cut.values()) + 0 * m.offload)
    front = pareto_front(instance, [cuts, "memory"], constraints=["arcs_cut", few])
    limit = instance.memory_limit_bytes
    values = {(count(edge), Split(instance, edge).memory_bytes) for edge in down_closed_sets(instance) if count(edge) <= 2}
    values = {(n, memory) for n, memory in values if limit is None or memory <= limit}
    best = {(n, memory) for n, memory in values if not any(a <= n and b >= memory and (a, b) != (n, memory) for a, b in values)}
    assert {(point.values["arcs"], point.values["memory"]) for point in front.points} == best
    assert front.complete
    assert all(point.solution is None for point in front.points)


def test_what_follows_from_a_split_is_computed_once_however_often_it_is_met():
    instance = random_instance(3, most_layers=7)
    found, _ = evaluation(instance, "sum")
    x = found.prefixes()[1]
    assert found.split(x) is found.split(0.9 * x)
    assert found.split(x) is not found.split(found.prefixes()[2])
