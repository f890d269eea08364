"""`--at-most` of `lmos front` and `lmos plan`: the front within the limits, the plan's setting, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.cli import main
from lmos_opt import Front, Instance, Plan, pareto_front
from tests.lmos_opt.documents import chain_data


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """The folder has a chain (`toy.json`) with several points."""
    monkeypatch.chdir(tmp_path)
    instance = Instance.from_dict(chain_data())
    instance.save("toy.json")
    return instance


def test_a_front_holds_what_is_within_every_limit(toy: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    whole = pareto_front(toy)
    assert len(whole) > 2
    limit = whole[1].values["latency"]
    assert main(["front", "toy.json", "--at-most", f"latency={limit * 1e3!r}ms", "--at-most", "footprint=1GB", "--json"]) == 0
    found = Front.from_dict(json.loads(capsys.readouterr().out))
    assert [point.values for point in found] == [point.values for point in whole.points[:2]]


def test_a_plan_keeps_its_limits_and_its_page_draws_the_front(toy: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    limit = pareto_front(toy)[1].values["latency"]
    assert main(["plan", "toy.json", "--at-most", f"latency={limit!r}s", "--select", "lmos", "-o", "plan.json"]) == 0
    plan = Plan.load("plan.json")
    assert plan.setting.at_most == {"latency": limit}
    assert plan.predicted["latency_s"] == limit
    assert Plan.from_dict(plan.to_dict()) == plan
    assert main(["report", "plan.json", "--source", "toy.json", "-o", "page.html"]) == 0
    page = Path("page.html").read_text()
    assert f"latency {limit:g}" in page
    assert "cannot be drawn" not in page


@pytest.mark.parametrize(("limit", "code", "said"), [
    ("latency", 2, "'latency' is no limit; expected NAME=AMOUNT"),
    ("latency=soon", 2, "--at-most, latency: 'soon' is not a time"),
    ("price=3", 2, "'price' is not an objective"),
    ("latency=1us", 3, "infeasible: constraint latency at most 1e-06 s")])  # fmt: skip
def test_what_is_no_limit_or_leaves_nothing_is_one_line(limit: str, code: int, said: str,
                                                        capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert main(["front", "toy.json", "--at-most", limit]) == code
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1


def test_a_baseline_keeps_to_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "toy.json", "--at-most", "edge_time=0s", "--select", "ECO"]) == 3
    assert "edge_time at most 0 s" in capsys.readouterr().err


def test_an_objective_that_is_limited_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "toy.json", "--at-most", "latency=1s", "--at-most", "latency=2s"]) == 2
    assert "--at-most: latency is limited twice" in capsys.readouterr().err
