"""`lmos bench exactness`: cases cover what they should, come again from their seeds, and wrong answers are found out."""

from __future__ import annotations

import csv
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lmos.bench import exactness, working
from lmos.bench.exactness import Kind, answer, drawn_case, verdicts
from lmos.bench.random_instances import SHAPES, STYLES
from lmos.cli import main
from lmos.commands.bench_exactness import COLUMNS
from lmos_opt import InfeasibleError, objectives, pareto_front
from tests import warm
from tests.processes import read_terminal, started

EASY = 3
"""A seed whose front has several points and takes no time."""


def test_questions_cover_everything_and_come_again():
    asked = [drawn_case(seed) for seed in range(400)]
    assert {(q.shape, q.style) for q in asked} == {(shape, style) for shape in SHAPES for style in STYLES}
    known = {*objectives.names(), *objectives.NUMBERED} - {"fidelity_loss", *objectives.OF_TOKENS}
    assert {name.partition(":")[0] for q in asked for name in q.objectives} == known
    assert {len(q.instance.places) for q in asked} == {2, 3, 4}
    assert {len(q.objectives) for q in asked} == {2, 3}
    assert {q.proper_split for q in asked} == {False, True}
    assert {q.instance.memory_limit_bytes is None for q in asked} == {False, True}
    assert {len(q.instance.layers) for q in asked} == {*range(1, 15)}
    assert all(drawn_case(q.seed) == q for q in asked[:50])


def test_fronts_are_the_true_ones_in_one_process_and_in_two(monkeypatch):
    monkeypatch.setattr(working, "get_context", lambda method: warm.context())
    alone, together = (sorted(verdicts(range(6, 14), "highs", jobs), key=lambda v: (v.case.seed, v.memory_model))
                       for jobs in (1, 2))
    assert [replace(v, seconds=0) for v in alone] == [replace(v, seconds=0) for v in together]
    assert [(v.mistakes, v.incomplete) for v in alone] == [((), None)] * 16
    assert sum(v.points for v in alone) > 16


def test_the_mix_holds_infeasible_questions_that_are_answered_so():
    asked = next(q for q in map(drawn_case, range(500)) if q.proper_split and len(q.instance.layers) == 1)
    found = answer(asked, "sum", "highs")
    assert (found.points, found.mistakes) == (0, ())


def _changed(change):
    """The engine, with its points changed."""
    def trace(*arguments, **options):
        front = pareto_front(*arguments, **options)
        return front.model_copy(update={"points": change(front.points)})

    return trace


def _refuse(*arguments, **options):
    raise InfeasibleError("toy", ("nothing",))


def _lighter(points):
    return (points[0].model_copy(update={"values": {**points[0].values, "memory": points[0].values["memory"] - 1}}), *points[1:])


WRONG = {
    "lost": _changed(lambda points: points[1:]),
    "twice": _changed(lambda points: (points[0], *points)),
    "not on the front": _changed(_lighter),
    "not {": _changed(_lighter),
    "has a front, but": _refuse,
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_front_is_found_out_and_named(monkeypatch, capsys, mistake):
    monkeypatch.setattr(exactness, "pareto_front", WRONG[mistake])
    assert main(["bench", "exactness", "--only", str(EASY)]) == 1
    out, err = capsys.readouterr()
    assert mistake in err
    assert f"seed {EASY}, peak, latency,memory" in err
    assert f"--only {EASY}" in err
    assert "all" in out


def test_an_incomplete_front_is_no_wrong_one(monkeypatch, capsys):
    def cut(*arguments, **options):
        front = pareto_front(*arguments, **options)
        return front.model_copy(update={"points": front.points[:1], "complete": False, "reason": "a test"})

    monkeypatch.setattr(exactness, "pareto_front", cut)
    assert main(["bench", "exactness", "--only", str(EASY)]) == 0
    assert "incomplete: a test" in capsys.readouterr().err


def test_the_file_has_a_row_a_front(tmp_path, capsys):
    assert main(["bench", "exactness", "-n", "2", "--seed", str(EASY), "--jobs", "1", "-o", str(tmp_path / "x.csv")]) == 0
    assert "highs" in capsys.readouterr().out
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [(int(row["seed"]), row["memory_model"]) for row in rows] == [(s, m) for s in (EASY, EASY + 1) for m in ("peak", "sum")]
    assert all(row["incomplete"] == row["mistakes"] == "" for row in rows)


@pytest.mark.parametrize(("arguments", "message"), [
    (["-o", "x.txt"], "expected .csv"),
    (["--solver", "abacus"], "'abacus' is not a solver"),
    (["-n", "0"], "'-n'"),
])
def test_what_cannot_be_asked(arguments, message, capsys):
    assert main(["bench", "exactness", *arguments]) == 2
    assert message in capsys.readouterr().err


@contextmanager
def judging(folder, jobs, *before):
    """The benchmark when it has judged something: its process, and the other end of the terminal that is its standard error."""
    ours, theirs = pty.openpty()
    command = [*before, sys.executable, "-m", "lmos", "bench", "exactness", "--jobs", jobs, "-o", "x.csv"]
    try:
        with started(command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"COLUMNS": "120"}) as process:
            os.close(theirs)
            read_terminal(ours, r"[1-9]\d*/4000")
            yield process, ours
    finally:
        os.close(ours)


IGNORING = ["sh", "-c", """trap '' INT; exec "$0" "$@" """]


def ctrl_c(process):
    os.killpg(process.pid, signal.SIGINT)


def terminated(process):
    process.send_signal(signal.SIGTERM)


@pytest.mark.process
@pytest.mark.parametrize(("jobs", "before", "end"), [("1", [], ctrl_c), ("2", IGNORING, ctrl_c), ("2", [], terminated)])
def test_an_interruption_keeps_what_was_judged(tmp_path, jobs, before, end):
    """Ctrl-C goes to all processes of a terminal, SIGTERM to the first: none complains, none is left, no front of theirs counts."""
    with judging(tmp_path, jobs, *before) as (process, terminal):
        end(process)
        err = read_terminal(terminal)  # to its end: nobody has it open any more
        out = process.stdout.read()
        assert process.wait(60) == 1
    assert re.search(r"lmos: interrupted after \d+ of 4000 fronts\s*$", err)
    assert err.count("lmos:") == 1
    assert "Traceback" not in err
    assert "all" in out
    rows = (tmp_path / "x.csv").read_text().splitlines()[1:]
    assert 0 < len(rows) < 4000
    assert all(row.endswith(",,") for row in rows)


@pytest.mark.process
def test_its_processes_end_with_it_however_it_ends(tmp_path):
    with judging(tmp_path, "2") as (process, terminal):
        process.kill()
        read_terminal(terminal)


@pytest.mark.slow
def test_two_thousand_instances():
    wrong = [v for v in verdicts(range(2000), "highs", 2) if v.mistakes or v.incomplete]
    assert [(v.case.seed, v.memory_model, v.mistakes, v.incomplete) for v in wrong] == []


@pytest.mark.parametrize("places", [2, 3, 4])
def test_all_of_so_many_places_and_the_least_load_among_them(places, capsys):
    asked = [drawn_case(seed, Kind(places)) for seed in range(60)]
    assert {len(q.instance.places) for q in asked} == {places}
    assert {q.objectives for q in asked} > {("load",)}
    assert {bool(q.instance.together) for q in asked} == {False, True}
    assert main(["bench", "exactness", "--places", str(places), "--only", "3", "--only", "4", "--jobs", "1"]) == 0
    assert "all" in capsys.readouterr().out
