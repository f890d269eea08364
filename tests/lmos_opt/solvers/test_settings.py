"""A solver's options: handed on, recorded, refused by name, and never a way to a front that is wrong."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from lmos_opt import InputError, Instance, SolverError, pareto_front, solvers, trace_front
from lmos_opt.algorithms.sieve import Sieve
from lmos_opt.solvers import cbc, glpk, highs
from lmos_opt.solvers.exports import as_arguments
from lmos_opt.solvers.settings import parsed, settings_of
from tests.lmos_opt.documents import diamond_data


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"speed": 1}, r"solver_options: 'speed' is not an option of HiGHS"),
        ({"threads": "two"}, r"solver_options, threads: HiGHS does not take 'two': expected a whole number within"),
        ({"mip_rel_gap": -1.0}, r"solver_options, mip_rel_gap: HiGHS does not take -1\.0: expected a number within"),
        ({"presolve": "maybe"}, r"solver_options, presolve: HiGHS does not take 'maybe': expected a text within"),
        ({"threads": None}, r"solver_options: got 'threads': None; expected a name and a number"),
        (["threads"], r"solver_options: got \['threads'\]; expected names to values"),
    ],
)
def test_what_highs_does_not_take_is_refused_by_name(options, complaint):
    with pytest.raises(InputError, match=complaint):
        pareto_front(Instance.from_dict(diamond_data()), solver_options=options)


def test_a_solver_without_options_says_so():
    class Bare:
        name, attempts, relaxes, exact = "bare", 1, False, False

    with pytest.raises(InputError, match="solver_options: solver bare takes no options"):
        solvers.get(Bare(), {"threads": 2})
    assert solvers.get(Bare()).name == "bare"
    assert settings_of(Bare()).seed is None


@pytest.mark.parametrize(
    ("text", "found"),
    [("threads=2", ("threads", 2)), ("gap=1e-4", ("gap", 1e-4)), ("presolve=off", ("presolve", "off")), ("a=true", ("a", True)),
     ("limits/gap = False", ("limits/gap", False)), ("a=b=c", ("a", "b=c"))],
)  # fmt: skip
def test_options_as_typed(text, found):
    name, value = parsed(text, "--solver-option")
    assert (name, value, type(value)) == (*found, type(found[1]))


@pytest.mark.parametrize("text", ["threads", "=2", "threads=", " =1"])
def test_options_typed_wrong(text):
    with pytest.raises(InputError, match=r"--solver-option: .*: expected NAME=VALUE, such as threads=2"):
        parsed(text, "--solver-option")


def test_options_reach_programs_and_relaxations_alike(monkeypatch):
    seen = []
    monkeypatch.setattr(Sieve, "of", lambda *asked: None)
    load = highs._load
    monkeypatch.setattr(highs, "_load", lambda milp, rows, options, integer: seen.append((options, integer)) or
                        load(milp, rows, options, integer))  # fmt: skip
    found = solvers.get("highs", {"simplex_strategy": 4, "random_seed": 9})
    pareto_front(Instance.from_dict(diamond_data()), solver=found)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), domain=pyo.Binary)
    m.one, m.two = pyo.Objective(expr=m.x[0] + m.x[1]), pyo.Objective(expr=-m.x[0] - 2 * m.x[2])
    trace_front(m, [m.one, m.two], solver_options={"random_seed": 9})
    assert {integer for _, integer in seen} == {False, True}
    assert all(options["random_seed"] == 9 for options, _ in seen)
    assert seen[0][0]["simplex_strategy"] == 4
    assert settings_of(found).seed == 9


def test_a_gap_that_a_user_allows_makes_no_wrong_front():
    """The integer solver's word is proof on small whole numbers; with a gap of 90 % it is not, and the search proves it instead."""
    m = pyo.ConcreteModel("knapsack")
    m.x = pyo.Var(range(12), domain=pyo.Binary)
    m.room = pyo.Constraint(expr=sum((7 * k % 11 + 2) * m.x[k] for k in range(12)) <= 31)
    m.value = pyo.Objective(expr=sum((5 * k % 13 + 1) * m.x[k] for k in range(12)), sense=pyo.maximize)
    m.other = pyo.Objective(expr=sum((3 * k % 7 + 1) * m.x[k] for k in range(12)), sense=pyo.maximize)
    exact = trace_front(m, [m.value, m.other])
    loose = trace_front(m, [m.value, m.other], solver_options={"mip_rel_gap": 0.9, "presolve": "on"})
    assert loose.costs() == exact.costs()
    assert loose.complete
    assert loose.statistics.certified
    assert loose.statistics.tolerances["mip_rel_gap"] == 0.9
    seeded = trace_front(m, [m.value, m.other], solver_options={"random_seed": 5})
    assert seeded.costs() == exact.costs()
    assert seeded.statistics.lps == exact.statistics.lps  # a seed changes no proof


def test_commands_get_options_as_arguments():
    assert as_arguments({"seed": 3, "cuts": True, "clique": False, "mode": "x"}, "--") == ["--seed", "3", "--cuts", "--mode", "x"]
    found = solvers.get("glpk", {"seed": 3, "mipgap": 0.5})
    assert found == glpk.Glpk(options={"seed": 3, "mipgap": 0.5})
    assert settings_of(found).seed == 3
    assert settings_of(found).tolerances == {"tolint": 1e-5, "mipgap": 0.5}
    assert settings_of(found).decisive == ("mipgap",)
    assert settings_of(cbc.SOLVER).tolerances["integerTolerance"] == 1e-9
    with pytest.raises(SolverError, match="there is no command"):
        pareto_front(Instance.from_dict(diamond_data()), solver=_without_command())


def _without_command() -> glpk.Glpk:
    class Absent(glpk.Glpk):
        def _command(self) -> str:
            raise SolverError("glpk", "there is no command")

    return Absent(options={"seed": 1})
