"""`lmos bench exactness --kind milp`: truths by hand, families that cover what they should, failures found and made small."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from lmos.bench.programs import judging
from lmos.bench.programs.elimination import OutOfReachError, eliminated
from lmos.bench.programs.families import FAMILIES, family, program, seeds
from lmos.bench.programs.judging import judge
from lmos.bench.programs.program import Column, Goal, Program, Row
from lmos.bench.programs.shrinking import complexity, shrunk
from lmos.bench.programs.truth import truth
from lmos.cli import main
from lmos.commands.bench_exactness_milp import COLUMNS
from lmos_opt import InfeasibleError, InputError, trace_front
from lmos_opt.front import Front

EASY = 1
"""A seed whose front has several points and takes no time."""
KNAPSACK = Program(
    "knapsack",
    (Column("a", "binary", 0, 1), Column("b", "binary", 0, 1), Column("c", "integer", 0, 2)),
    (Row("room", ((2, "a"), (3, "b"), (1, "c")), None, 4),),
    (Goal("worth", "max", ((5, "a"), (4, "b"), (1, "c"))), Goal("cost", "min", ((3, "a"), (1, "b")), 10)),
)
"""Feasible are a, b in (0, 0), (1, 0), (0, 1) with c up to 2, 2, 1: worth and cost (2, 10), (7, 13), (5, 11)."""


def values(found: Program) -> list[tuple[float, ...]]:
    return [tuple(float(goal.sign * c) for goal, c in zip(found.goals, costs, strict=True)) for costs in truth(found).costs]


def test_the_truth_of_a_knapsack_is_the_one_by_hand():
    assert values(KNAPSACK) == [(7, 13), (5, 11), (2, 10)]


def test_the_truth_has_fractional_bounds_rounded_inwards():
    found = Program("m", (Column("x", "integer", -1.5, 3.7),), (), (Goal("f", "max", ((0.5, "x"),)), Goal("g", "min", ((2, "x"),))))
    assert values(found) == [(1.5, 6), (1, 4), (0.5, 2), (0, 0), (-0.5, -2)]
    assert truth(replace(found, columns=(Column("x", "integer", 0.2, 0.8),))).costs == ()


def test_the_truth_of_a_big_m_program_knows_no_tolerance():
    columns = (Column("y0", "binary"), Column("y1", "binary"), Column("q0", "integer", 0, 3), Column("q1", "integer", 0, 5))
    rows = (Row("on0", ((1, "q0"), (-(10**10), "y0")), None, 0), Row("on1", ((1, "q1"), (-(10**10), "y1")), None, 0),
            Row("all", ((1, "q0"), (1, "q1")), 5, 5))
    goals = (Goal("open", "min", ((7, "y0"), (7, "y1"))), Goal("pay", "min", ((5, "q0"), (4, "q1"))))
    assert values(Program("m", columns, rows, goals)) == [(7, 20)]


def test_the_truth_of_boundless_columns_is_found_where_the_objectives_keep_them_small():
    columns = (Column("x0", "integer", 0, 1e30), Column("x1", "integer", 0, None))
    goals = (Goal("f", "min", ((0.5, "x0"),)), Goal("g", "min", ((0.25, "x1"),)))
    found = Program("m", columns, (Row("need", ((2, "x0"), (3, "x1")), 7, None),), goals)
    assert values(found) == [(0, 0.75), (0.5, 0.5), (1, 0.25), (2, 0)]
    with pytest.raises(OutOfReachError, match="x0 has no bounds"):
        truth(Program("m", (Column("x0", "integer", 0, None),), (), (Goal("f", "max", ((1, "x0"),)),)))


MAKESPAN = Program(
    "makespan",
    (Column("a", "binary"), Column("b", "binary"), Column("z", "real")),
    (Row("here", ((1, "z"), (-2, "a"), (-3, "b")), 0, None), Row("there", ((1, "z"), (2, "a"), (4, "b")), 6, None)),
    (Goal("time", "min", ((1, "z"),)), Goal("held", "max", ((1, "a"), (5, "b")))),
)
"""z is 6, 4, 3, 5 for a, b in (0, 0), (1, 0), (0, 1), (1, 1)."""


def test_the_truth_of_a_makespan_is_the_one_by_hand():
    assert values(MAKESPAN) == [(3, 5), (5, 6)]


def test_the_truth_of_flows_through_an_equality_is_the_one_by_hand():
    columns = (Column("y", "binary"), Column("f", "real", 0), Column("g", "real", 0, 3))
    rows = (Row("open", ((1, "f"), (-1e9, "y")), None, 0), Row("demand", ((1, "f"), (1, "g")), 2.5, 2.5))
    goals = (Goal("pay", "min", ((1, "f"), (4, "g"))), Goal("build", "min", ((1, "y"),)))
    assert values(Program("m", columns, rows, goals)) == [(2.5, 1), (10, 0)]


def test_real_columns_without_a_finite_front_are_out_of_reach():
    columns = (Column("v", "real", 0, 1), Column("w", "real", 0, 1))
    goals = (Goal("f", "min", ((1, "v"),)), Goal("g", "min", ((1, "w"),)))
    with pytest.raises(OutOfReachError, match="trade-off"):
        truth(Program("m", columns, (Row("r", ((1, "v"), (1, "w")), 1, 1),), goals))
    with pytest.raises(OutOfReachError, match="unbounded"):
        truth(Program("m", (Column("v", "real"), Column("x", "binary")), (), (Goal("f", "min", ((1, "v"), (1, "x"))),)))


def test_fixed_columns_are_constants_of_the_truth():
    fixed = replace(KNAPSACK, columns=(replace(KNAPSACK.columns[0], fixed=1), *KNAPSACK.columns[1:]))
    assert values(fixed) == [(7, 13)]


def test_elimination_keeps_what_the_others_satisfy():
    # x + v <= 3, v >= 1, and so x <= 2; vectors are (v, x, 1)
    assert eliminated([(1, 1, -3), (-1, 0, 1)], [], [0]) == [(0, 1, -2)]
    # v = 2 x and v <= 4, and so x <= 2
    assert eliminated([(1, 0, -4)], [(1, -2, 0)], [0]) == [(0, 1, -2)]


@pytest.fixture(scope="module")
def asked():
    """The first programs of every family by their seeds, with their truths."""
    return {seed: program(seed) for seed in seeds(list(FAMILIES), 0, 60 * len(FAMILIES))}


def test_families_cover_what_people_write(asked):
    drawn = {name: [asked[seed][0] for seed in seeds([name], 0, 60)] for name in FAMILIES}
    everything = [p for found in drawn.values() for p in found]
    columns = [c for p in everything for c in p.columns]
    rows = [row for p in everything for row in p.rows]
    goals = [goal for p in everything for goal in p.goals]
    assert {len(p.goals) for p in everything} == {2, 3, 4}
    assert {goal.sense for goal in goals} == {"min", "max"}
    assert any(c.kind == "integer" and c.upper is not None and c.upper != int(c.upper) for c in columns)
    assert any(c.lower is not None and c.lower < 0 for c in columns)
    assert {1e9, 1e12, 1e20, 1e30, None} <= {c.upper for p in drawn["wide-bounds"] for c in p.columns}
    assert any(c.fixed is not None for c in columns)
    assert any(c.kind == "real" and c.lower is None and c.upper is None for p in drawn["mixed"] for c in p.columns)
    assert {10**k for k in range(3, 13)} <= {abs(c) for p in drawn["big-m"] for row in p.rows for c, _ in row.terms}
    assert any(row.lower == row.upper for row in rows)
    assert any(row.lower is not None and row.upper is not None and row.lower < row.upper for row in rows)
    assert any(all(c == 0 for c, _ in row.terms) for row in rows)
    assert any(not goal.terms for goal in goals)
    assert any(goal.constant and goal.terms for goal in goals)
    sizes = [abs(c) for p in drawn["reals"] for goal in p.goals for c, _ in goal.terms if c]
    assert min(sizes) < 1e-5
    assert max(sizes) > 1e9


def test_the_mix_holds_infeasible_programs_and_single_points(asked):
    counts = [len(asked[seed][1].costs) for seed in seeds(list(FAMILIES), 0, 300)]
    assert 0 in counts
    assert 1 in counts
    assert sum(n > 2 for n in counts) > 100


def test_a_seed_names_its_family_and_its_program():
    assert seeds(list(FAMILIES), 7, 6) == [7, 1_000_007, 2_000_007, 3_000_007, 4_000_007, 8]
    assert [family(seed) for seed in seeds(list(FAMILIES), 0, 5)] == list(FAMILIES)
    assert program(2_000_017) == program(2_000_017)
    assert program(2_000_017)[0].name == "wide-bounds-2000017"


@pytest.mark.parametrize("seed", [EASY, 4_000_001])
def test_a_script_builds_the_model_that_was_judged(seed, capsys):
    drawn, _ = program(seed)
    scope: dict[str, object] = {}
    exec(drawn.script(), scope)
    capsys.readouterr()
    model, objectives = drawn.build()
    assert _written(model) == _written(scope["m"])
    assert [point.values for point in trace_front(model, objectives).points] == [p.values for p in scope["front"].points]


def _written(model) -> str:
    import io

    text = io.StringIO()
    model.pprint(text)
    return text.getvalue()


def _with_points(change):
    """The engine, with its points changed."""
    def trace(*arguments, **options):
        front = trace_front(*arguments, **options)
        return front.model_copy(update={"points": change(front.points)})

    return trace


def _moved(points):
    values = {name: value + 1e-6 * max(1.0, abs(value)) for name, value in points[0].values.items()}
    return (points[0].model_copy(update={"values": values}), *points[1:])


def _off(points):
    return (points[0].model_copy(update={"solution": {**points[0].solution, "b": 0.5}}), *points[1:])


def _raising(error):
    def trace(*arguments, **options):
        raise error

    return trace


def _incomplete(reason):
    def trace(*arguments, **options):
        front = trace_front(*arguments, **options)
        return front.model_copy(update={"points": front.points[:1], "complete": False, "reason": reason})

    return trace


JUDGED = {
    "as it is": (trace_front, "right", ""),
    "a point less": (_with_points(lambda points: points[1:]), "wrong", "lost (7, 13)"),
    "a point twice": (_with_points(lambda points: (points[0], *points)), "wrong", "twice (7, 13)"),
    "a value moved": (_with_points(_moved), "wrong", "worth is 7.0 at {'a': 1"),
    "half a binary": (_with_points(_off), "wrong", "b = 0.5 is no integer"),
    "infeasible": (_raising(InfeasibleError("knapsack", ())), "wrong", "has 3 points, but: "),
    "raw": (_raising(ZeroDivisionError("oh")), "wrong", "ZeroDivisionError: oh"),
    "refused by name": (_raising(InputError("knapsack", "the bound of c is too large")), "refused", ""),
    "refused": (_raising(InputError("knapsack", "an objective is unbounded")), "unnamed", "refused without a name"),
    "stopped by name": (_incomplete("the row room cannot be decided"), "incomplete", ""),
    "out of time": (_incomplete("the time limit of 20 s is reached"), "incomplete", ""),
    "stopped": (_incomplete("numerical difficulties"), "unnamed", "incomplete without a cause: numerical difficulties"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_what_the_engine_says_is_judged(monkeypatch, case):
    trace, outcome, mistake = JUDGED[case]
    monkeypatch.setattr(judging, "trace_front", trace)
    verdict = judge(KNAPSACK, truth(KNAPSACK))
    assert verdict.outcome == outcome
    assert mistake in "; ".join(verdict.mistakes)
    assert bool(verdict.mistakes) == bool(mistake)


def test_a_dominated_point_is_found_out(monkeypatch):
    def trace(model, objectives, **options):
        front = trace_front(model, objectives, **options)
        worse = {"values": {"worth": 6, "cost": 13}, "solution": {"a": 1, "b": 0, "c": 1}}
        return Front.from_dict({**front.to_dict(), "points": [*front.to_dict()["points"], worse]})

    monkeypatch.setattr(judging, "trace_front", trace)
    assert judge(KNAPSACK, truth(KNAPSACK)).mistakes == ("not on the front: (6, 13)",)


def test_a_broken_row_is_found_out_however_small_its_numbers(monkeypatch):
    tiny = replace(KNAPSACK, rows=(Row("room", ((2e-12, "a"), (3e-12, "b"), (1e-12, "c")), None, 4e-12),))

    def trace(model, objectives, **options):
        front = trace_front(*KNAPSACK.build(), **options)
        best = {"values": {"worth": 11, "cost": 14}, "solution": {"a": 1, "b": 1, "c": 2}}
        return Front.from_dict({**front.to_dict(), "points": [*front.to_dict()["points"], best]})

    monkeypatch.setattr(judging, "trace_front", trace)
    assert "room is 7e-12, not within [None, 4e-12]" in judge(tiny, truth(tiny)).mistakes[0]


def test_a_planted_fault_is_shrunk_to_what_it_needs():
    """The fault: a row with a coefficient above 1000 and an integer that may be negative."""
    def fails(found: Program) -> bool:
        negative = {c.name for c in found.columns if c.lower is not None and c.lower < 0 and c.kind == "integer"}
        return any(abs(c) > 1000 for row in found.rows for c, name in row.terms) and bool(negative)

    drawn = program(1_000_002)[0]
    planted = replace(drawn, columns=(*drawn.columns, Column("late", "integer", -7.25, 12.5)))
    assert fails(planted)
    found = shrunk(planted, fails)
    assert fails(found)
    assert (len(found.columns), len(found.rows), len(found.goals)) == (2, 1, 1)
    assert len(found.rows[0].terms) == 1
    assert 1000 < abs(found.rows[0].terms[0][0]) < 2500
    assert next(c.lower for c in found.columns if c.kind == "integer") == -1
    assert complexity(found) < complexity(planted)


def _without_the_last(*arguments, **options):
    front = trace_front(*arguments, **options)
    return front.model_copy(update={"points": front.points[:-1]} if len(front.points) > 1 else {})


def test_an_engine_that_loses_points_is_found_out_and_shrunk_to_two_points(monkeypatch, capsys):
    monkeypatch.setattr(judging, "trace_front", _without_the_last)
    assert main(["bench", "exactness", "--kind", "milp", "--only", str(EASY), "--shrink", "1", "--json"]) == 1
    out, err = capsys.readouterr()
    assert f"integers wrong, --kind milp --only {EASY}: lost (" in err
    found = json.loads(out)
    assert found["families"]["integers"]["wrong"] == found["families"]["all"]["wrong"] == 1
    script = found["smallest"][0]["script"]
    assert f"# lmos bench exactness --kind milp --only {EASY}\n# lost (" in script
    assert script.count("pyo.Var(") <= 2
    assert script.count("pyo.Constraint") <= 1
    exec(script, {})
    assert capsys.readouterr().out.startswith("True None")


def test_the_command_counts_families_and_names_seeds(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "trace_front", _refusing_every_third())
    arguments = ["-n", "6", "--family", "integers", "--jobs", "1", "-o", str(tmp_path / "x.csv")]
    assert main(["bench", "exactness", "--kind", "milp", *arguments]) == 0
    out, err = capsys.readouterr()
    assert "seeds: 0-5" in out
    assert "2 (33.3 %)" in out
    assert err == ""
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [row["outcome"] for row in rows] == ["right", "right", "refused"] * 2


def _refusing_every_third():
    asked = []

    def trace(model, objectives, **options):
        asked.append(model)
        if len(asked) % 3 == 0:
            raise InputError(str(model.name), "the coefficient of x0 is too large")
        return trace_front(model, objectives, **options)

    return trace


def test_too_many_incomplete_fronts_end_with_1(monkeypatch, capsys):
    monkeypatch.setattr(judging, "trace_front", _incomplete("out of the time limit"))
    assert main(["bench", "exactness", "--kind", "milp", "-n", "2", "--family", "reals", "--jobs", "1"]) == 1
    assert "reals incomplete, --kind milp --only 3000000: incomplete: out of the time limit" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "message"), [
    (["--kind", "lp"], "--kind: 'lp': expected split or milp"),
    (["--kind", "milp", "--family", "cones"], "'cones' is not a family; expected one of integers, big-m"),
    (["--kind", "milp", "--only", "5000000"], "expected a seed below 5000000"),
    (["--kind", "milp", "--seed", "999999"], "expected the last seed below 1000000"),
    (["--kind", "milp", "-o", "x.txt"], "expected .csv"),
])
def test_what_cannot_be_asked(arguments, message, capsys):
    assert main(["bench", "exactness", *arguments]) == 2
    assert message in capsys.readouterr().err
