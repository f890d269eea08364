"""One suite for every solver that is installed: right, or incomplete with a reason, never wrong and whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest

from lmos.bench.exactness import mistakes
from lmos.bench.random_instances import random_instance, with_limit
from lmos.cli import main
from lmos_opt import InfeasibleError, InputError, SolverError, pareto_front, solvers, trace_front
from lmos_opt.algorithms.branching import BranchAndBound
from lmos_opt.fronts import growing
from lmos_opt.processes.signals import handled
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers import Status, cbc, glpk, highs
from lmos_opt.solvers.exports import Program
from tests.lmos_opt.fronts.test_growing import PUBLISHED, QUICK, _published

HOW = {"cbc": "apt-get install coinor-cbc", "glpk": "apt-get install glpk-utils", "gurobi": r"pip install 'lmos\[solvers\]'",
       "scip": r"pip install 'lmos\[solvers\]'"}  # fmt: skip
STYLES = ("realistic", "ties", "zeros", "literal", "realistic")


def _installed(name):
    found = solvers.get(name)
    try:
        found.version()
    except SolverError as missing:
        pytest.skip(str(missing))
    return found


@pytest.fixture(params=solvers.names())
def solver(request):
    return _installed(request.param)


@pytest.fixture(params=[name for name in solvers.names() if name != "highs"])
def other(request):
    """For what test_engine.py does with HiGHS."""
    return _installed(request.param)


def test_what_is_shipped():
    assert {"highs", *HOW} <= {*solvers.names()}


def test_its_version_is_a_number(solver):
    assert solver.version()[0].isdigit()


@pytest.mark.parametrize("path", [p for p in PUBLISHED if p.stem in QUICK - {"moa_kp10_p3"}], ids=lambda p: p.stem)
def test_published_fronts(solver, path):
    model, objectives, expected = _published(path)
    front = trace_front(model, objectives, solver=solver)
    assert front.complete
    assert sorted(tuple(p.values[o.name] for o in objectives) for p in front.points) == expected
    assert front.solver.name == solver.name


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in PUBLISHED if "augmecon" not in p.stem], ids=lambda p: p.stem)
def test_published_fronts_to_the_last(solver, path):
    model, objectives, expected = _published(path)
    front = trace_front(model, objectives, solver=solver)
    assert front.complete
    assert sorted(tuple(p.values[o.name] for o in objectives) for p in front.points) == expected


@pytest.mark.parametrize("seed", range(15))
def test_splits_equal_enumeration(other, seed):
    instance = random_instance(seed, most_layers=5, style=STYLES[seed % 5])
    if seed % 3 == 0:
        instance = with_limit(instance, seed)
    memory_model = ("sum", "peak")[seed % 5 == 4]
    front = pareto_front(instance, memory_model=memory_model, solver=other)
    assert mistakes(front, instance, ["latency", "memory"], memory_model) == []


@pytest.mark.slow
@pytest.mark.parametrize("style", ["realistic", "ties", "zeros", "literal", "extreme", "near_ties"])
@pytest.mark.parametrize("seed", range(200, 210))
def test_splits_of_every_style_equal_enumeration(other, seed, style):
    instance = random_instance(seed, most_layers=6, style=style)
    front = pareto_front(instance, solver=other)
    assert mistakes(front, instance, ["latency", "memory"], "sum") == []


@pytest.mark.parametrize("style", ["realistic", "near_ties"])
def test_without_relaxations_a_front_of_real_values_is_never_called_whole(solver, style, monkeypatch):
    """What such a solver finds is attained; that nothing is missing rests on its tolerances, where splits are not looked at."""
    monkeypatch.setattr(growing, "MOST_LOOKED_AT", 0)
    instance = random_instance(3, most_layers=6, style=style)
    front = pareto_front(instance, solver=replace(solver, relaxes=False))
    assert not front.complete
    assert front.points or solver.name == "cbc"  # which contradicts itself before the first point is sure
    assert f"solver {solver.name}'s word is no proof here" in front.reason or "known solution contradicts" in front.reason
    assert not any("has" in m for m in mistakes(front, instance, ["latency", "memory"], "sum"))


def test_without_relaxations_whole_numbers_are_whole_fronts(solver):
    model, objectives, expected = _published(next(p for p in PUBLISHED if p.stem == "moa_kp10_p2"))
    front = trace_front(model, objectives, solver=replace(solver, relaxes=False))
    assert front.complete
    assert sorted(tuple(p.values[o.name] for o in objectives) for p in front.points) == expected


def _pair(most=None):
    m = pyo.ConcreteModel("pair")
    m.x = pyo.Var(range(2), domain=pyo.NonNegativeIntegers, bounds=(0, most))
    m.f, m.g = pyo.Objective(expr=m.x[0], sense=pyo.maximize), pyo.Objective(expr=m.x[0] + m.x[1])
    return m


def test_infeasible(solver):
    m = _pair(1)
    m.c = pyo.Constraint(expr=m.x[0] + m.x[1] >= 3)
    with pytest.raises(InfeasibleError):
        trace_front(m, [m.f, m.g], solver=solver)
    m = _pair(1)
    m.odd = pyo.Constraint(expr=2 * m.x[0] + 2 * m.x[1] == 3)  # feasible but for the integers
    with pytest.raises(InfeasibleError):
        trace_front(m, [m.f, m.g], solver=solver)


def test_unbounded(solver):
    m = _pair()
    with pytest.raises(InputError, match="unbounded"):
        trace_front(m, [m.f, m.g], solver=solver)


def test_general_integers_of_either_sign_and_rows_of_two_sides(solver):
    m = pyo.ConcreteModel("signs")
    m.x = pyo.Var(domain=pyo.Integers, bounds=(-5, -2))
    m.y = pyo.Var(domain=pyo.Integers, bounds=(-3, 7))
    m.z = pyo.Var(domain=pyo.Reals, bounds=(None, 4))
    m.both = pyo.Constraint(expr=(-3, m.x + m.y, 3))
    m.equal = pyo.Constraint(expr=m.z == m.x - m.y)
    m.f, m.g = pyo.Objective(expr=m.x), pyo.Objective(expr=m.y)
    front = trace_front(m, [m.f, m.g], solver=solver)
    truth = sorted((x, y) for x in range(-5, -1) for y in range(-3, 8) if -3 <= x + y <= 3 and x - y <= 4)
    best = {(x, y) for x, y in truth if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in truth)}
    assert {(p.values["f"], p.values["g"]) for p in front.points} == best
    assert front.complete


def test_a_relaxations_duals_prove_its_optimum_and_its_emptiness(solver):
    """The bound that the search takes from the duals is the optimum; the ray's bound is positive."""
    rng = np.random.default_rng(0)
    n = 5
    rows = tuple(LinearForm(np.arange(n), rng.uniform(-1, 1, n)) for _ in range(3))
    milp = Milp("lp", tuple("abcde"), np.zeros(n), np.ones(n), np.ones(n, dtype=bool), rows,
                np.array([-0.2, -np.inf, 0.1]), np.array([0.3, 0.4, 0.1]))  # fmt: skip
    extra = [LinearForm(np.arange(n), rng.uniform(0.5, 1, n))]
    cost = LinearForm(np.arange(n), rng.uniform(-1, 1, n))
    relaxation = solver.relax(milp, extra)
    tree = BranchAndBound(milp, extra, relaxation, np.arange(n), True)
    relaxation.pose(cost, {3: 1.0})
    found = relaxation.solve(milp.lower, milp.upper)
    assert found.status is Status.OPTIMAL
    upper = np.array([0.3, 0.4, 0.1, 1.0])
    bound, _ = tree._bound(cost.coefficients, found.duals, milp.lower, milp.upper, upper)
    assert bound == pytest.approx(cost.at(found.x), abs=1e-8)
    relaxation.pose(cost, {3: 0.01})
    low = milp.lower.copy()
    low[0] = 1.0
    found = relaxation.solve(low, milp.upper)
    assert found.status is Status.INFEASIBLE
    upper[3] = 0.01
    assert tree._is_empty(found.duals, low, milp.upper, upper)


@pytest.mark.parametrize("name", HOW)
def test_a_missing_solver_says_how_to_get_it(name, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pyscipopt", None)
    monkeypatch.setitem(sys.modules, "gurobipy", None)
    with pytest.raises(SolverError, match=f"solver {name}: .*{HOW[name]}") as caught:
        pareto_front(random_instance(0, most_layers=3), solver=name)
    assert caught.value.exit_code == 1
    whole = _pair(3)
    with pytest.raises(SolverError, match=HOW[name]):
        trace_front(whole, [whole.f, whole.g], solver=name)


@pytest.mark.parametrize("relaxes", [True, False])
def test_a_model_beyond_gurobis_licence_says_so(relaxes):
    found = _installed("gurobi")
    m = pyo.ConcreteModel("large")
    m.x = pyo.Var(range(2001), domain=pyo.Binary)
    m.f = pyo.Objective(expr=sum(m.x.values()))
    m.g = pyo.Objective(expr=sum(0.1 * k * x for k, x in m.x.items()), sense=pyo.maximize)
    complaint = None
    try:
        trace_front(m, [m.f, m.g], solver=replace(found, relaxes=relaxes), time_limit_s=0.5)
    except SolverError as error:
        complaint = str(error)
    if complaint is None:
        pytest.skip("Gurobi's licence here has no such limit")
    assert complaint == ("solver gurobi: the model is larger than this licence allows "
                         "(the one that comes with gurobipy: 2000 variables and 2000 rows)")  # fmt: skip


def test_the_command_line_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert main(["front", "vgg19", "--solver", "glpk"]) == 1
    assert capsys.readouterr() == ("", "lmos: solver glpk: there is no command glpsol on the PATH; get it by: "
                                       "apt-get install glpk-utils\n")  # fmt: skip


@pytest.fixture(params=[("glpsol", glpk.SOLVER), ("cbc", cbc.SOLVER)], ids=["glpk", "cbc"])
def pretended(request, tmp_path, monkeypatch):
    """Puts a shell script in a solver's place; its folder, and the function that does it."""
    name, found = request.param
    (tmp_path / "bin").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def pretend(script):
        command = tmp_path / "bin" / name
        command.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
        command.chmod(0o755)
        return found

    return tmp_path, pretend


def _pid(folder):
    """The process's id; none if it did not come to say it."""
    return (folder / "pid").read_text().strip() if (folder / "pid").exists() else ""


def _is_gone(folder):
    if pid := _pid(folder):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    return not list((folder / "temporary").iterdir())


def test_a_process_is_ended_when_its_time_is_over(pretended):
    folder, pretend = pretended
    slow = replace(pretend("exec sleep 3600"), limit_s=0.3)
    model, objectives, _ = _published(next(p for p in PUBLISHED if p.stem == "moa_kp10_p2"))
    front = trace_front(model, objectives, solver=slow)
    assert not front.complete
    assert "time limit" in front.reason
    with pytest.raises(SolverError, match="time limit"):
        pareto_front(random_instance(0, most_layers=3), solver=slow)
    assert _is_gone(folder)


def test_a_process_is_ended_by_an_interruption(pretended):
    folder, pretend = pretended
    found = pretend("exec sleep 3600")

    def interrupt(*_):
        if _pid(folder):  # it runs; once, since nothing is removed any more where another one comes meanwhile
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.raise_signal(signal.SIGINT)

    with handled([signal.SIGALRM], interrupt), handled([signal.SIGINT], signal.default_int_handler):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            with pytest.raises(KeyboardInterrupt):
                found.ask("", 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert _pid(folder)
    assert _is_gone(folder)


def test_a_process_is_ended_by_an_interruption_while_it_is_started(pretended, monkeypatch):
    """The interruption comes when it runs, and before the one who started it knows that it does."""
    folder, pretend = pretended
    found = pretend("exec sleep 3600")

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            while not _pid(folder):
                time.sleep(0.001)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with handled([signal.SIGINT], signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        found.ask("", 0)
    assert _is_gone(folder)


@pytest.mark.parametrize("script", ["echo out of memory; exit 9", "kill -SEGV $$"])
def test_a_process_that_dies_is_an_error(pretended, script):
    folder, pretend = pretended
    with pytest.raises(SolverError, match=r"ended with code (9: out of memory|-11)"):
        pareto_front(random_instance(0, most_layers=3), solver=pretend(script))
    assert _is_gone(folder)


@pytest.mark.parametrize("script", ["echo nothing of use", "echo rubbish > answer", ": > answer"])
def test_an_answer_that_says_nothing_proves_nothing(pretended, script):
    _, pretend = pretended
    found = pretend(script)
    assert [found.ask("", attempt).status for attempt in (None, *range(found.attempts))] == [Status.FAILED] * (found.attempts + 1)


def test_the_verdicts_of_glpsol():
    def status(printed, written=b""):
        return glpk.read_solution(printed, written).status

    assert status("PROBLEM HAS NO INTEGER FEASIBLE SOLUTION\n") is Status.INFEASIBLE
    assert status("LP HAS NO PRIMAL FEASIBLE SOLUTION\n") is Status.INFEASIBLE
    assert status("", b"s mip 1 1 n 0\n") is Status.INFEASIBLE
    assert status("LP HAS UNBOUNDED PRIMAL SOLUTION\n") is Status.UNBOUNDED
    assert status("LP HAS NO DUAL FEASIBLE SOLUTION\n") is Status.FAILED  # unbounded or infeasible
    assert status("TIME LIMIT EXCEEDED; SEARCH TERMINATED\n", b"s mip 1 1 f 3\ni 1 0\nj 1 3\n") is Status.TIME_LIMIT
    assert status("", b"s mip 1 1 f 3\ni 1 0\nj 1 3\n") is Status.FAILED  # feasible is not optimal
    assert status("", b"s bas 1 1 f n 3\ni 1 b 0 0\nj 1 b 3 0\n") is Status.FAILED


def test_the_verdicts_of_cbc():
    def status(verdict):
        return cbc.read_solution(f"Dual infeasible - objective value 3\n{verdict} - objective value 3\nTotal\n", b"").status

    assert status("Infeasible") is Status.INFEASIBLE
    assert status("Integer infeasible") is Status.INFEASIBLE
    assert status("Unbounded") is Status.UNBOUNDED
    assert status("Stopped on time") is Status.TIME_LIMIT
    assert status("Stopped on nodes") is Status.FAILED
    assert status("Optimal") is Status.FAILED  # without its solution


def test_a_file_holds_every_digit():
    third, tiny = 1 / 3, np.nextafter(1.0, 2.0)
    milp = Milp("digits", ("a", "b"), np.array([0.0, -np.inf]), np.array([third, tiny]), np.array([True, False]),
                (LinearForm(np.array([1, 0, 1]), np.array([third, 2.0, third])),), np.array([0.1]), np.array([0.2]))  # fmt: skip
    program = Program(milp, [LinearForm(np.array([0]), np.array([7.0]))])
    text = program.head(program.sides({1: 0.3}), LinearForm(np.array([1]), np.array([-0.1])), [np.array([1.0, 9.0])], True)
    text += program.bounds(milp.lower, milp.upper)
    assert text.splitlines() == [
        "NAME lmos FREE", "ROWS", " N cost", " G r0", " L r1", " L r2", " G r3", "COLUMNS",
        " a0 'MARKER' 'INTORG'", " c0 cost 0.0", " c0 r0 2.0", " c0 r1 2.0", " c0 r2 7.0", " c0 r3 -1.0", " b0 'MARKER' 'INTEND'",
        " c1 cost -0.1", f" c1 r0 {2 * third!r}", f" c1 r1 {2 * third!r}",
        "RHS", " rhs r0 0.1", " rhs r1 0.2", " rhs r2 0.3", "BOUNDS",
        " LO bnd c0 0.0", f" UP bnd c0 {third!r}", " MI bnd c1", f" UP bnd c1 {float(tiny)!r}", "ENDATA",
    ]  # fmt: skip


AFTER_OTHERS = """
from dataclasses import replace
import highspy, pyomo.environ as pyo
from lmos_opt import pareto_front, trace_front
from lmos_opt.solvers.highs import SOLVER
from lmos.bench.random_instances import random_instance

other = highspy.Highs()
other.setOptionValue("output_flag", False)
other.setOptionValue("threads", 2)
other.addVar(0, 1)
other.changeColIntegrality(0, highspy.HighsVarType.kInteger)
other.run()
m = pyo.ConcreteModel()
m.x, m.y = pyo.Var(bounds=(0, 1)), pyo.Var(domain=pyo.Binary)
m.c = pyo.Constraint(expr=m.x + 0.5 * m.y >= 0.75)
m.f, m.g = pyo.Objective(expr=m.x), pyo.Objective(expr=m.y)
front = trace_front(m, [m.f, m.g])
assert [tuple(p.values.values()) for p in front.points] == [(0.25, 1), (0.75, 0)] and front.complete
assert pareto_front(random_instance(3, most_layers=6), solver=replace(SOLVER, relaxes=False)).points
"""


def test_highs_runs_where_others_have_run_it_on_more_threads():
    """In HiGHS the number of threads belongs to the process: asking for one after two were used is an error there."""
    done = subprocess.run([sys.executable, "-c", AFTER_OTHERS], cwd=Path(__file__).parents[2], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_points_found_before_a_solver_dies_are_kept(monkeypatch):
    instance = random_instance(4, most_layers=14, style="realistic")
    whole = pareto_front(instance, algorithm="epsilon_constraint")
    assert len(whole.points) > 3
    real, left = highs.HighsRelaxation.solve, [40]

    def dying(self, lower, upper):
        left[0] -= 1
        if left[0] < 0:
            raise SolverError("highs", "ended with code -11")
        return real(self, lower, upper)

    partial = []
    for patience in range(0, 200, 5):
        left[0] = patience
        with monkeypatch.context() as patched:
            patched.setattr(highs.HighsRelaxation, "solve", dying)
            try:
                front = pareto_front(instance, algorithm="epsilon_constraint")
            except SolverError:
                continue
        if front.complete:
            assert [p.values for p in front.points] == [p.values for p in whole.points]
        else:
            assert front.reason == "solver highs: ended with code -11"
            assert 1 <= len(front.points) < len(whole.points)
            partial.append(front)
    assert partial
