"""What a search did is counted, recorded a subproblem at a time, written down as it happens, and read back equal."""

from __future__ import annotations

import json

import pandas as pd
import pyomo.environ as pyo
import pytest

from lmos_opt import Front, InputError, Instance, iter_front, pareto_front, trace_front
from lmos_opt.algorithms import driver
from lmos_opt.algorithms.sieve import Sieve
from lmos_opt.fronts import growing
from lmos_opt.solvers import Status, highs
from tests.lmos_opt.documents import chain_data, diamond_data

SEARCH = {"algorithm": "epsilon_constraint"}


def knapsack() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel("knapsack")
    m.x = pyo.Var(range(4), domain=pyo.Binary)
    m.room = pyo.Constraint(expr=2 * m.x[0] + 3 * m.x[1] + 4 * m.x[2] + 5 * m.x[3] <= 9)
    m.value = pyo.Objective(expr=3 * m.x[0] + 4 * m.x[1] + 5 * m.x[2] + 8 * m.x[3] + 100, sense=pyo.maximize)
    m.cost = pyo.Objective(expr=1.5 * m.x[0] + 1.25 * m.x[1] + 3.5 * m.x[2] + 2.75 * m.x[3])
    return m


def diamond() -> Instance:
    return Instance.from_dict(diamond_data())


@pytest.mark.parametrize("algorithm", ["epsilon_constraint", "balanced_box", "local_upper_bounds"])
def test_the_sums_are_those_of_the_subproblems(algorithm):
    front = pareto_front(diamond(), algorithm=algorithm)
    took = front.statistics
    assert took.algorithm == algorithm
    assert took.solves == front.solves > 0
    for name in ("solves", "lps", "nodes"):
        assert getattr(took, name) == sum(getattr(one, name) for one in took.subproblems) > 0
    assert took.lp_s == pytest.approx(sum(one.lp_s for one in took.subproblems))
    assert 0 < took.lp_s < took.search_s
    assert took.build_s + took.search_s == pytest.approx(front.seconds)
    assert took.certified
    assert [one.number for one in took.subproblems] == [*range(1, len(took.subproblems) + 1)]


def test_every_linear_program_is_counted(monkeypatch):
    asked = []
    solve = highs.HighsRelaxation.solve
    monkeypatch.setattr(highs.HighsRelaxation, "solve", lambda self, low, high: asked.append(1) or solve(self, low, high))
    assert pareto_front(diamond(), **SEARCH).statistics.lps == len(asked)


@pytest.mark.parametrize("objectives", [["latency", "memory"], ["memory", "latency"], ["latency", "memory", "tx_bytes"]])
def test_bounds_and_values_are_in_the_objectives_own_senses(objectives):
    front = pareto_front(diamond(), objectives, algorithm="epsilon_constraint" if len(objectives) == 2 else "local_upper_bounds")
    latencies, memories = {p.values["latency"] for p in front}, {p.values["memory"] for p in front}
    bounds = [bound for one in front.statistics.subproblems for bound in one.bounds]
    assert {(b.objective, b.relation[0]) for b in bounds} <= {("latency", "<"), ("memory", ">"), ("tx_bytes", "<")}
    assert {b.value for b in bounds if b.objective == "latency"} <= latencies
    assert {b.value for b in bounds if b.objective == "memory"} <= memories
    for one in front.statistics.subproblems:
        assert (one.values is None) == (one.outcome == "infeasible")
        for bound in one.bounds if one.values else ():
            value = one.values[bound.objective]
            assert {"<": value < bound.value, "<=": value <= bound.value * (1 + 1e-9),
                    ">": value > bound.value, ">=": value >= bound.value * (1 - 1e-9)}[bound.relation]


def test_a_models_constants_are_in_the_values():
    m = knapsack()
    front = trace_front(m, [m.value, m.cost])
    found = [one.values for one in front.statistics.subproblems if one.values]
    assert all(point.values in found for point in front)
    assert {b.value for one in front.statistics.subproblems for b in one.bounds if b.objective == "value"} <= {
        p.values["value"] for p in front}  # fmt: skip


def test_the_sums_hold_where_a_solvers_word_is_taken_too(monkeypatch):
    monkeypatch.setattr(Sieve, "of", lambda *asked: None)
    m = knapsack()
    m.cost.set_value(2 * m.x[0] + m.x[1] + 3 * m.x[2] + 2 * m.x[3])
    took = trace_front(m, [m.value, m.cost], algorithm="local_upper_bounds").statistics
    assert (took.lps, took.certified) == (0, True)
    assert took.solves == sum(one.solves for one in took.subproblems) > 0


def test_the_frame_has_a_row_a_subproblem():
    front = pareto_front(diamond(), **SEARCH)
    frame = front.statistics.to_frame()
    assert len(frame) == len(front.statistics.subproblems)
    assert list(frame.columns) == ["number", "optimised", "bounds", "outcome", "solves", "lps", "nodes", "lp_s", "seconds",
                                   "certified", "value_latency", "value_memory"]  # fmt: skip
    assert frame["lps"].sum() == front.statistics.lps
    assert "latency < " in frame["bounds"].iloc[-1]


def test_the_log_has_each_subproblem_as_soon_as_it_ends(tmp_path):
    path = tmp_path / "search.jsonl"
    path.write_text("old\n")
    growing = iter_front(diamond(), log=path)
    seen = []
    for _ in growing:
        seen.append(len(path.read_text().splitlines()))
        assert seen[-1] == len(growing.front.statistics.subproblems)
    assert 0 < seen[0] < seen[-1]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [one.model_dump(mode="json") for one in growing.front.statistics.subproblems]
    assert len(pd.read_json(path, lines=True)) == len(lines)


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/log\.jsonl: cannot be written: no such file"):
        pareto_front(diamond(), log=tmp_path / "nowhere" / "log.jsonl")


def test_files_have_the_statistics_and_read_back_equal(tmp_path):
    front = pareto_front(diamond(), solver_options={"random_seed": 7, "presolve": "off", "mip_detect_symmetry": True})
    front.save(tmp_path / "front.json")
    assert Front.load(tmp_path / "front.json") == front
    read = json.loads((tmp_path / "front.json").read_text())["statistics"]
    assert (read["seed"], read["threads"], read["certified"]) == (7, 1, True)
    assert read["solver_options"] == {"random_seed": 7, "presolve": "off", "mip_detect_symmetry": True}
    assert read["tolerances"]["mip_feasibility_tolerance"] == highs.FEASIBILITY_TOLERANCE
    assert "statistics" not in front.model_copy(update={"statistics": None}).to_dict()


def test_an_interrupted_search_says_how_its_last_subproblem_ended():
    front = pareto_front(Instance.from_dict(chain_data()), time_limit_s=0.0)
    assert not front.complete
    assert front.statistics.subproblems == ()

    class Tired(highs.Highs):
        def relax(self, *arguments):
            raise driver.SubproblemError(Status.TIME_LIMIT, "tired")

    front = pareto_front(Instance.from_dict(chain_data()), solver=Tired())
    assert [one.outcome for one in front.statistics.subproblems] == ["time limit"]


def test_the_word_of_a_solver_is_no_certificate(monkeypatch):
    class Words(highs.Highs):
        def relax(self, *arguments):
            raise AssertionError

    front = pareto_front(diamond(), solver=Words(relaxes=False))
    assert front.complete, "its splits are few, and all were looked at"
    assert front.statistics.certified
    monkeypatch.setattr(growing, "MOST_LOOKED_AT", 0)
    front = pareto_front(diamond(), solver=Words(relaxes=False))
    assert not front.complete
    assert not front.statistics.certified
    assert not all(one.certified for one in front.statistics.subproblems)
