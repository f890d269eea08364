"""One search, several solvers: engines take turns, different fronts are found out, profiles are Dolan and Moré's."""

from __future__ import annotations

import csv
import json
from math import inf

import pytest

from lmos.bench.search_engines import Engine, Study, Timed, installed, measured, profile, ratios, study
from lmos.cli import main
from lmos_opt import Front, InputError, Instance, pareto_front
from lmos_opt.imports import current_directory_importable
from tests.lmos_opt.documents import chain_data, diamond_data

MODEL = """
import pyomo.environ as pyo


def knapsack():
    m = pyo.ConcreteModel("knapsack")
    m.x = pyo.Var(range(4), domain=pyo.Binary)
    m.room = pyo.Constraint(expr=2 * m.x[0] + 3 * m.x[1] + 4 * m.x[2] + 5 * m.x[3] <= 9)
    m.value = pyo.Objective(expr=3 * m.x[0] + 4 * m.x[1] + 5 * m.x[2] + 8 * m.x[3], sense=pyo.maximize)
    m.cost = pyo.Objective(expr=1.5 * m.x[0] + 1.25 * m.x[1] + 3.5 * m.x[2] + 2.75 * m.x[3])
    return m, [m.value, m.cost]


def one():
    return 1


def broken():
    raise ValueError("no data")
"""


def timed(problem: str, engine: str, seconds: float, repeat: int = 0, complete: bool = True) -> Timed:
    return Timed(problem, engine, repeat, seconds, complete, None, 1, 1, 1, 1, 0.0, "" if complete else "late")


def test_a_profile_of_three_problems_by_hand():
    """a is the fastest on p and q, b on r by 4; b takes 3 times as long on p, and came to no end on q."""
    runs = [timed("p", "a", 1.0), timed("p", "b", 3.0), timed("q", "a", 2.0), timed("q", "b", 9.0, complete=False),
            timed("r", "a", 8.0), timed("r", "b", 2.0)]  # fmt: skip
    assert ratios(runs) == {"a": [1.0, 1.0, 4.0], "b": [3.0, inf, 1.0]}
    assert profile([1.0, 1.0, 4.0]) == [(1.0, 2 / 3), (4.0, 1.0)]
    assert profile([3.0, inf, 1.0]) == [(1.0, 1 / 3), (3.0, 2 / 3)]
    assert profile([2.0, inf]) == [(1.0, 0.0), (2.0, 0.5)]


def test_a_problem_counts_by_its_median():
    runs = [timed("p", "a", seconds, k) for k, seconds in enumerate((5.0, 1.0, 2.0))] + [timed("p", "b", 4.0)]
    assert ratios(runs) == {"a": [1.0], "b": [2.0]}


def test_where_no_engine_comes_to_an_end_none_has_a_ratio():
    assert ratios([timed("p", "a", 1.0, complete=False), timed("p", "b", 1.0, complete=False)]) == {"a": [inf], "b": [inf]}


def test_engines_take_turns_and_warm_up_uncounted():
    instance = Instance.from_dict(diamond_data())
    asked = []

    def solve(engine: Engine, limit_s: float) -> Front:
        asked.append(engine.name)
        return pareto_front(instance, algorithm="epsilon_constraint", time_limit_s=limit_s)

    engines = [Engine(name, "highs") for name in "ab"]
    runs = list(measured([Study("toy", solve)], engines, 4, 0, 60.0, lambda _: None))
    assert asked[:2] == ["a", "b"]
    assert [run.engine for run in runs] == asked[2:]
    assert [sorted(asked[k : k + 2]) for k in range(0, 10, 2)] == [["a", "b"]] * 5
    assert len({tuple(asked[k : k + 2]) for k in range(2, 10, 2)}) == 2  # the order is drawn
    assert all(run.agrees and run.complete and run.lps > 0 for run in runs)


def test_an_engine_whose_front_differs_is_found_out_and_one_without_an_end_is_not_asked_again():
    instance = Instance.from_dict(diamond_data())

    def solve(engine: Engine, limit_s: float) -> Front:
        if engine.name == "slow":
            return pareto_front(instance, time_limit_s=0.0)
        front = pareto_front(instance)
        return front if engine.name == "right" else front.model_copy(update={"points": front.points[:-1]})

    engines = [Engine(name, "highs") for name in ("right", "wrong", "slow")]
    runs = list(measured([Study("toy", solve)], engines, 2, 0, 60.0, lambda _: None))
    assert {run.agrees for run in runs if run.engine == "slow"} == {None}
    assert len([run for run in runs if run.engine == "slow"]) == 1
    assert {run.agrees for run in runs if run.engine != "slow"} == {True, False}


def test_highs_is_installed_and_engines_are_read():
    assert "highs" in [engine.name for engine in installed()]
    assert Engine.of("highs, presolve=on,threads=1") == Engine("highs, presolve=on,threads=1", "highs",
                                                              (("presolve", "on"), ("threads", 1)))  # fmt: skip
    for text, complaint in (("fast", "'fast' is not a solver"), ("highs,speed=1", "'speed' is not an option of HiGHS"),
                            ("highs,presolve", "--engine: 'presolve': expected NAME=VALUE")):  # fmt: skip
        with pytest.raises(InputError, match=complaint):
            Engine.of(text)


def test_the_command_times_files_and_models_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kp_of_test.py").write_text(MODEL)
    Instance.from_dict(chain_data()).save("toy.json")
    command = ["bench", "engines", "toy.json", "kp_of_test:knapsack", "--engine", "highs", "--engine", "highs,presolve=on"]
    assert main([*command, "--repeats", "2", "-o", "out"]) == 0
    assert "kp_of_test:knapsack" in capsys.readouterr().out
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["agrees"] for row in rows} == {"true"}
    with (tmp_path / "out" / "profiles.csv").open() as file:
        shares = {row["engine"]: float(row["share"]) for row in csv.DictReader(file)}
    assert shares == {"highs": 1.0, "highs,presolve=on": 1.0}
    assert json.loads((tmp_path / "out" / "machine.json").read_text())["settings"]["repeats"] == 2
    assert (tmp_path / "out" / "profiles.png").stat().st_size > 0
    with current_directory_importable():
        for source, complaint in (("kp_of_test:one", "gave a value of type int; expected a Pyomo model and a list"),
                                  ("kp_of_test:broken", "failed with ValueError: no data")):  # fmt: skip
            with pytest.raises(InputError, match=complaint):
                study(source)
