"""HiGHS's presolve is wrong on the models in `presolve/`; what this package makes of them is right."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import highspy
import numpy as np
import pyomo.environ as pyo
import pytest
from highspy._core import _Highs

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import random_instance, with_limit
from lmos_opt import pareto_front, trace_front

FOLDER = Path(__file__).parent / "presolve"
WRONG_VERSION = "1.16.0"
TIGHT = {"mip_feasibility_tolerance": 1e-9}
SPLIT = (0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
CASES = {
    # options, a feasible solution, the least cost
    "two_columns": ({}, (1, 1), 7e-7),
    "split": ({}, SPLIT, -2496901894.0),
    "two_binaries": (TIGHT, (0, 1), -1.0),
    "split_reduced": (TIGHT, (0, 1, 1, 1), 0.0),
}
each = pytest.mark.parametrize("name", CASES)


def _read(name, **options):
    highs = _Highs()
    for option, value in ({"output_flag": False, "threads": 1} | options).items():
        highs.setOptionValue(option, value)
    assert highs.readModel(str(FOLDER / f"{name}.mps")) == highspy.HighsStatus.kOk
    return highs


def _answer(name, options, presolve):
    highs = _read(name, presolve=presolve, **options)
    _Highs.resetGlobalScheduler(True)  # it refuses another number of threads than a process began with
    highs.run()
    return highs.getModelStatus(), highs.getInfo().objective_function_value


def _rows(lp):
    """Each row as its columns' coefficients."""
    matrix, rows = lp.a_matrix_, [{} for _ in range(lp.num_row_)]
    assert matrix.format_ == highspy.MatrixFormat.kColwise
    for column in range(lp.num_col_):
        for k in range(matrix.start_[column], matrix.start_[column + 1]):
            rows[matrix.index_[k]][column] = matrix.value_[k]
    return rows


def test_every_file_is_a_case():
    assert sorted(path.stem for path in FOLDER.glob("*.mps")) == sorted(CASES)


@each
def test_the_solution_is_feasible_in_exact_arithmetic(name):
    highs = _read(name)  # owns what getLp gives
    lp = highs.getLp()
    x = CASES[name][1]
    for row, low, high in zip(_rows(lp), lp.row_lower_, lp.row_upper_, strict=True):
        activity = sum((Fraction(value) * x[column] for column, value in row.items()), Fraction(0))
        assert low <= activity <= high
    assert all(low <= value <= high for value, low, high in zip(x, lp.col_lower_, lp.col_upper_, strict=True))


@each
def test_presolve_is_wrong(name):
    """Should this fail, HiGHS has changed: see whether the settings in `solvers/highs.py` may have its presolve back."""
    options, _, least = CASES[name]
    status, cost = _answer(name, options, "on")
    wrong = status == highspy.HighsModelStatus.kInfeasible or cost > least + 0.5
    version = _Highs().version()
    if version != WRONG_VERSION and not wrong:
        pytest.skip(f"HiGHS {version} answers {name} rightly; {WRONG_VERSION} does not")
    assert wrong


@each
def test_without_presolve_it_is_right(name):
    options, _, least = CASES[name]
    status, cost = _answer(name, options, "off")
    assert status == highspy.HighsModelStatus.kOptimal
    assert cost == pytest.approx(least, rel=1e-9, abs=1e-6)


@each
def test_a_traced_front_has_the_least_cost(name):
    highs = _read(name)
    lp = highs.getLp()
    m = pyo.ConcreteModel(name)
    whole = [kind == highspy.HighsVarType.kInteger for kind in lp.integrality_]
    m.x = pyo.Var(range(lp.num_col_), bounds=lambda m, j: (lp.col_lower_[j], lp.col_upper_[j]),
                  domain=lambda m, j: pyo.Integers if whole[j] else pyo.Reals)  # fmt: skip
    m.rows = pyo.ConstraintList()
    for row, low, high in zip(_rows(lp), lp.row_lower_, lp.row_upper_, strict=True):
        if row and not np.isinf([low, high]).all():
            m.rows.add((None if np.isinf(low) else low, sum(value * m.x[j] for j, value in row.items()),
                        None if np.isinf(high) else high))  # fmt: skip
    m.cost = pyo.Objective(expr=sum(cost * m.x[j] for j, cost in enumerate(lp.col_cost_)))
    m.total = pyo.Objective(expr=sum(m.x.values()))
    front = trace_front(m, [m.cost, m.total])
    assert front.complete
    assert front.points[0].values["cost"] == pytest.approx(CASES[name][2], rel=1e-9, abs=1e-6)


def test_the_front_that_the_split_comes_from_is_whole():
    instance = with_limit(random_instance(1995, most_layers=7), 1995)
    assert mistakes(pareto_front(instance), instance, ["latency", "memory"], "sum") == []
