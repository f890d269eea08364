"""`lmos plan --deadline`: the plan keeps what it promises in its file, and what cannot be promised is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_edge.plans import Plan as PlanOfAnEdge
from lmos_opt import Plan
from lmos_opt.plans.promise import Promise
from tests.lmos.commands.test_scenarios import evening as evening  # noqa: PLC0414 - a fixture


def test_a_plan_has_its_promise(evening: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "alexnet", "--scenarios", evening, "--deadline", "3s", "--confidence", "90%", "-o", str(file)]) == 0
    plan = Plan.load(file)
    assert plan.promise == Promise(deadline_s=3.0, confidence=0.9)
    assert plan.setting.rule == "budget:3s"
    assert plan.setting.objectives == ("latency@p90", "energy")
    assert float(plan.predicted["latency@p90"]) <= 3.0
    assert "3.000 s in 90 % of the scenarios" in capsys.readouterr().out
    assert PlanOfAnEdge.load(file).data["promise"] == {"deadline_s": 3.0, "confidence": 0.9}


def test_a_plan_without_one_has_no_such_key(evening: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "alexnet", "--scenarios", evening, "--select", "knee", "-o", str(file)]) == 0
    assert "promise" not in json.loads(file.read_text())


@pytest.mark.parametrize(("arguments", "code", "line"), [
    (["--deadline", "1ms", "--confidence", "90%"], 3, "infeasible: a deadline of 1.00 ms in 90 % of the scenarios (the least "
                                                      "latency@p90 of any split is "),
    (["--deadline", "1s", "--select", "knee"], 2, "--deadline: chooses the split: the best one that keeps it; leave out --select"),
    (["--confidence", "90%"], 2, "--deadline: is missing; --confidence needs it"),
    ([], 2, "--select: is missing; expected a rule, or a --deadline to keep"),
    (["--deadline", "0s"], 2, "--deadline: got '0s'; expected more than 0 s"),
    (["--deadline", "1e16s"], 2, "--deadline: got '1e16s'; expected at most 1e+15 s"),
    (["--deadline", "1s", "--confidence", ""], 2, "--confidence: '' is not a percentage"),
    (["--deadline", "1s", "--confidence", "101"], 2, "--confidence: got '101'; expected above 0 %, up to 100 %"),
    (["--deadline", "1s", "--objectives", "energy,memory,load"], 2, "--objectives: names 3 objectives; beside a --deadline"),
])  # fmt: skip
def test_what_cannot_be_promised_is_one_line(arguments: list[str], code: int, line: str, evening: str,
                                             capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert main(["plan", "alexnet", "--scenarios", evening, *arguments]) == code
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
