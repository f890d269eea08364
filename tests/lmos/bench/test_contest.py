"""`lmos bench solvers`: contestants give the true fronts, answers are judged rightly, and what was asked for is written."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lmos.bench import solvers
from lmos.bench.cases import Case, cases, published, random_split
from lmos.bench.contest import Run, compared, compete, hypervolume, ready
from lmos.bench.results import COLUMNS, Summary, summarize
from lmos.bench.solvers import ContestAnswer, MissingPeer, Terms, pyaugmecon
from lmos.cli import main
from lmos_opt import Instance
from lmos_opt.data import data_dir
from lmos_opt.fronts.enumeration import enumerate_front
from lmos_opt.objectives import get as objective

KP10 = "moa_kp10_p2"


def split(n_layers: int, seed: int, chain: bool, **changes: object) -> Case:
    instance = random_split(n_layers, seed, chain).replace(**changes)
    return Case("test", instance.name, n_layers, instance)


def truth(case: Case) -> list[tuple[float, ...]]:
    assert isinstance(case.problem, Instance)
    return [values for values, _ in enumerate_front(case.problem, [objective("latency"), objective("memory")])]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def one_instance(folder: Path) -> Path:
    """A folder with the smallest of the published instances alone."""
    (folder / "instances").mkdir()
    (folder / "instances" / "kp.json").write_bytes((data_dir() / "published" / f"{KP10}.json").read_bytes())
    return folder / "instances"


@pytest.mark.parametrize("name", ["ours", "raw_highspy"])
@pytest.mark.parametrize("chain", [True, False], ids=["chain", "graph"])
@pytest.mark.parametrize("changes", [{}, {"rtt_s": 0.05, "memory_limit_bytes": 20_000_000}], ids=["free", "limited"])
def test_fronts_of_splits(name, chain, changes):
    for seed in range(3):
        case = split(9, seed, chain, **changes)
        answer = solvers.get(name).run(case, Terms())
        assert answer.complete, answer.note
        assert compared(answer.values, truth(case)) == (0, 0)


def test_the_image_counts_once_where_several_layers_read_it():
    layers = [{"name": name, "inputs": inputs, "t_edge_s": 0.1, "t_server_s": 0.01, "weight_bytes": weight, "output_bytes": 1000}
              for name, inputs, weight in (("a", ["input"], 5), ("b", ["input"], 7), ("c", ["a", "b"], 11))]  # fmt: skip
    instance = random_split(1, 0, chain=True).replace(layers=layers)
    case = Case("test", "two heads", 3, instance)
    answer = solvers.get("raw_highspy").run(case, Terms())
    assert compared(answer.values, truth(case)) == (0, 0)


@pytest.mark.parametrize("name", ["ours", "raw_highspy"])
def test_fronts_of_published_instances(name):
    for case in published(quick=True):
        if solvers.get(name).can(case):
            assert compared(solvers.get(name).run(case, Terms()).values, case.problem.front) == (0, 0), case.name


def test_the_loop_says_when_its_time_is_up():
    answer = solvers.get("raw_highspy").run(split(9, 0, chain=True), Terms(time_limit_s=0.0))
    assert (answer.complete, answer.values) == (False, ())
    assert "stopped after 0 s" in answer.note


def test_the_least_cut_is_held_to_the_least_latency_alone():
    case = split(9, 0, chain=False)
    (run,) = compete(case, [solvers.get("networkx_min_cut")], 1, 0, 60.0, lambda _: None)
    assert run.exact is True
    wrong = replace(solvers.get("networkx_min_cut"), run=lambda case, terms: ContestAnswer(((99.0, 0.0),)))
    (run,) = compete(case, [wrong], 1, 0, 60.0, lambda _: None)
    assert run.exact is False


def test_nsga2_keeps_to_the_time_and_to_what_is_feasible():
    pytest.importorskip("pymoo")
    contestant = solvers.get("pymoo_nsga2")
    contestant.load()
    for case in (split(9, 1, chain=False), *(c for c in published(quick=True) if c.name in {KP10, "moa_issue58_mixed"})):
        answer = contestant.run(case, Terms(seed=1, engine_s=0.1))
        exact = truth(case) if isinstance(case.problem, Instance) else case.problem.front
        reached = hypervolume(answer.values, exact, case.senses)
        assert 0 <= reached <= 1 + 1e-9, "more than the true front's can only be infeasible"
    assert contestant.run(split(9, 1, chain=True), Terms(seed=1, engine_s=0.2)).values, "a split is never infeasible"


def test_points_are_counted_within_rounding_and_once():
    exact = [(0.3, 5), (0.1, 2)]
    assert compared([(0.1 + 0.2, 5), (0.1, 2)], exact) == (0, 0)
    assert compared([(0.1, 2), (0.1, 2)], exact) == (1, 1)
    assert compared([(0.1, 2), (0.3, 5), (0.4, 5)], exact) == (0, 1)
    assert compared([(0.1, 2), (0.3, 6)], exact) == (1, 1)
    assert compared([], exact) == (2, 0)


def test_a_lost_point_is_not_exact():
    case = split(9, 0, chain=True)
    ours = solvers.get("ours")

    def careless(case: Case, terms: Terms) -> ContestAnswer:
        return ContestAnswer(ours.run(case, terms).values[:-1], 3)

    runs = list(compete(case, [ours, replace(ours, name="careless", run=careless)], 2, 0, 60.0, lambda _: None))
    assert {(run.contestant, run.exact, run.lost, run.extra) for run in runs} == {("ours", True, 0, 0), ("careless", False, 1, 0)}
    assert all(run.truth == "enumeration" for run in runs)


def test_contestants_take_turns_in_an_order_that_the_seed_draws():
    case = split(3, 0, chain=True)
    rivals = [replace(solvers.get("enumeration"), name=name) for name in "abcde"]

    def order(seed: int, rounds: int) -> list[str]:
        return [run.contestant for run in compete(case, rivals, rounds, seed, 60.0, lambda _: None)]

    first = order(0, 2)
    assert sorted(first[:5]) == sorted(first[5:]) == [*"abcde"]
    assert first[:5] != first[5:]
    assert order(0, 1) == first[:5]
    assert order(1, 1) != first[:5]


def test_who_has_spent_the_time_has_no_further_round():
    case = split(3, 0, chain=True)
    slow = replace(solvers.get("enumeration"), name="slow", run=lambda case, terms: ContestAnswer((), seconds=40.0))
    runs = list(compete(case, [slow, solvers.get("enumeration")], 4, 0, 100.0, lambda _: None))
    assert [run.contestant for run in runs].count("slow") == 2
    assert [run.contestant for run in runs].count("enumeration") == 4


def test_medians_quartiles_and_ratios():
    case = split(3, 0, chain=True)
    peer = [_run(case, "raw_highspy", seconds) for seconds in (4.0, 2.0, 3.0)]
    ours = [_run(case, "ours", seconds) for seconds in (6.0, 1.0, 2.0, 5.0)]
    cut = [_run(case, "cut", 1.0, complete=False)]
    found = {row.contestant: row for row in summarize([*peer, *ours, *cut])}
    assert (found["ours"].q1_s, found["ours"].median_s, found["ours"].q3_s) == (1.75, 3.5, 5.25)
    assert found["ours"].ratio == 3.5 / 3
    assert found["raw_highspy"].ratio == 1
    assert found["cut"].ratio is found["cut"].of_ours is None
    assert (found["ours"].of_ours, found["raw_highspy"].of_ours) == (1, 3 / 3.5)
    assert [row.contestant for row in summarize([*peer, *ours, *cut])] == ["cut", "raw_highspy", "ours"]


def _run(case: Case, name: str, seconds: float, complete: bool = True) -> Run:
    return Run(case, name, 0, seconds, 1, 1, complete, True, 0, 0, 1.0, "enumeration", "")


def test_the_command_from_end_to_end(one_instance, capsys):
    arguments = ["bench", "solvers", "--suites", "published", "--instances", str(one_instance), "--repeats", "2",
                 "--contestants", "ours,raw_highspy,raw_highspy_presolve", "-o", "out"]  # fmt: skip
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(word in out for word in (KP10, "ours", "raw_highspy", "exact"))
    assert sorted(path.name for path in Path("out").iterdir()) == ["machine.json", "results.csv", "summary.csv", "times.png"]
    with Path("out/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert tuple(rows[0]) == COLUMNS
    assert all(row["exact"] == "true" and row["points"] == "3" and row["truth"] == "published" for row in rows)
    with Path("out/summary.csv").open() as file:
        summary = list(csv.DictReader(file))
    assert list(summary[0]) == list(Summary.__dataclass_fields__)
    (ratio,) = (float(row["ratio"]) for row in summary if row["contestant"] == "raw_highspy")
    assert ratio == 1
    machine = json.loads(Path("out/machine.json").read_text())
    assert machine["versions"]["highspy"]
    assert machine["settings"]["repeats"] == 2


def test_json_on_standard_output(one_instance, capsys):
    assert main(["bench", "solvers", "--suites", "published", "--instances", str(one_instance), "--repeats", "1",
                 "--contestants", "ours", "--json"]) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "lmos.bench-solvers/1"
    assert [row["contestant"] for row in found["summary"]] == ["ours"]
    assert found["results"][0]["exact"] is True
    assert found["machine"]["settings"]["complete"] is True


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--suites", "chains,trees"], "--suites: 'trees' is not a suite; there are chains, dags, published"),
        (["--suites", ","], "--suites: ',' names none"),
        (["--contestants", "gurobi"], "--contestants: 'gurobi' is not a contestant; there are "),
        (["--suites", "dags", "--only", "chain*"], "--only: no instance matches 'chain*'; there are dag40-0, "),
        (["--repeats", "0"], "--repeats"),
        (["--time-limit", "soon"], "--time-limit: 'soon' is not a time"),
        (["--suites", "published", "--instances", "nowhere"], "nowhere: holds no *.json of published instances"),
    ],
)
def test_bad_options_get_one_line_and_no_output(options, complaint, folder, capsys):
    assert main(["bench", "solvers", "-o", "out", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sense": ["max", "most"]}, "sense[1]: got \"most\", expected 'min' or 'max'"),
        ({"b": [1, 2]}, "b: has 2 entries, expected 1"),
        ({"c": [[1], [1, 2]]}, "c[1]: has 2 entries, expected 1"),
        ({"vars": "integer"}, "ub: has 0 entries, expected 10"),
        ({"front": [[1, 2, 3]]}, "front[0]: has 3 entries, expected 2"),
    ],
)
def test_a_bad_instance_gets_one_line(changes, complaint, one_instance, capsys):
    path = one_instance / "kp.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert main(["bench", "solvers", "--suites", "published", "--instances", str(one_instance)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"lmos: {path}: ")
    assert complaint in err


def test_a_missing_peer_is_said_and_left_out(one_instance, capsys, tmp_path):
    program = ["bench", "solvers", "--suites", "published", "--instances", str(one_instance), "--repeats", "1",
               "--pyaugmecon-python", "/bin/false"]  # fmt: skip
    assert main([*program, "--contestants", "pyaugmecon,raw_highspy"]) == 0
    out, err = capsys.readouterr()
    assert "raw_highspy" in out
    assert err == ("lmos: pyaugmecon is left out: /bin/false does not import it: /bin/false -m pip install pyaugmecon==2.0.1 "
                   "highspy==1.16.0\n")  # fmt: skip
    assert main([*program, "--contestants", "pyaugmecon"]) == 1
    assert capsys.readouterr().out == ""


def test_pymoo_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymoo.config", None)
    said: list[str] = []
    assert [c.name for c in ready([solvers.get("enumeration"), solvers.get("pymoo_nsga2")], said.append)] == ["enumeration"]
    assert said == ["pymoo_nsga2 is left out: pymoo is not installed: pip install 'lmos[bench]'"]


def test_an_environment_that_cannot_be_made_is_said_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(command: list[str], **_: object) -> None:
        (tmp_path / "lmos" / "pyaugmecon-2.0.1").mkdir(parents=True)
        raise subprocess.CalledProcessError(1, command, stderr="ERROR: no index\n")

    monkeypatch.setattr(pyaugmecon, "_runs", lambda path, program: "version_info" in program)
    monkeypatch.setattr(pyaugmecon.subprocess, "run", fail)
    pyaugmecon.python.cache_clear()
    with pytest.raises(MissingPeer, match=r"no environment for it in .*pyaugmecon-2\.0\.1 \(ERROR: no index\)"):
        pyaugmecon.CONTESTANT.load()
    assert list((tmp_path / "lmos").iterdir()) == []


def test_ctrl_c_leaves_what_was_measured(one_instance, capsys, monkeypatch):
    ours = solvers.get("ours")
    calls = []

    def interrupted(case: Case, terms: Terms) -> ContestAnswer:
        calls.append(case.name)
        if len(calls) == 4:  # warm-up, then three rounds of which the last is cut
            raise KeyboardInterrupt
        return ours.run(case, terms)

    monkeypatch.setattr("lmos.bench.solvers.ours.CONTESTANT", replace(ours, run=interrupted))
    assert main(["bench", "solvers", "--suites", "published", "--instances", str(one_instance), "--contestants", "ours",
                 "-o", "out"]) == 1  # fmt: skip
    out, err = capsys.readouterr()
    assert KP10 in out
    assert err == "lmos: interrupted; what was measured before is all there is\n"
    assert len(Path("out/results.csv").read_text().splitlines()) == 3
    assert json.loads(Path("out/machine.json").read_text())["settings"]["complete"] is False


def test_a_front_of_ours_that_is_not_the_true_one_is_a_failure(one_instance, capsys):
    path = one_instance / "kp.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"front": data["front"] + [[10**6, 10**6]]}))
    assert main(["bench", "solvers", "--suites", "published", "--instances", str(one_instance), "--repeats", "1",
                 "--contestants", "ours"]) == 1  # fmt: skip
    out, err = capsys.readouterr()
    assert "%" in out or "wrong" in out
    assert err == f"lmos: ours is not the true front on {KP10}\n"


def test_the_suites():
    sizes = {case.size for case in cases(["chains"])}
    assert {21, 44, 100, 220, 1000} <= sizes
    assert all(case.kind == "chain" for case in cases(["chains"]))
    assert {case.kind for case in cases(["dags"])} == {"graph"}
    assert "voptlib_2KP50_11" in {case.name for case in cases(["published"])}
    assert random_split(40, 1, chain=False) == random_split(40, 1, chain=False) != random_split(40, 2, chain=False)


@pytest.mark.slow
def test_pyaugmecon_in_an_environment_of_its_own(one_instance):
    """Needs Python 3.12 and, the first time, a package index."""
    (case,) = published(quick=False, folder=one_instance)
    contestant = solvers.get("pyaugmecon")
    try:
        contestant.load()
    except MissingPeer as error:
        pytest.skip(str(error))
    answer = contestant.run(case, Terms())
    assert compared(answer.values, case.problem.front) == (0, 0)
    assert answer.seconds > 0
    assert answer.solves > 0
    assert not contestant.can(split(3, 0, chain=True))
