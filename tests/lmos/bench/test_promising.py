"""The benchmark of promises: which plans it makes, what it counts, and a short run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos.bench.promising import contest
from lmos.bench.promising.contest import ADAPTS, MEAN, ROBUST, Asked, Contestant, Replay, planned
from lmos.cli import main
from lmos_opt import Instance, objectives
from lmos_opt.device import load_device
from lmos_opt.plans.promise import Promise
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import load_source
from lmos_opt.split import Split

ASKED = Asked("squeezenet1_1", 0.15, 300, None, 0.95)


@pytest.fixture(scope="module")
def instance() -> Instance:
    """A bundled network on two devices of the paper: no time of this machine's."""
    power = load_device("rpi4").power
    assert power is not None
    profile = load_source("squeezenet1_1")
    assert isinstance(profile, NetworkProfile)
    return Instance.from_profile(profile, edge="rpi4", server="paper-server").with_place(1, power=power.model_dump())


@pytest.mark.parametrize("trace", ["fading", "switching"])
def test_the_deadline_tells_the_plans_apart(instance: Instance, trace: str) -> None:
    here, promise, points = planned(trace, instance, ASKED)
    quantile = objectives.get("latency@p95")
    assert quantile.value is not None
    taken = {name: quantile.value(Split.at(here, [point.edge_layers or ()])) for name, point in points.items()}
    assert 1.14 * taken[ROBUST] <= promise.deadline_s < taken[MEAN]
    assert points[MEAN].values["energy"] < points[ROBUST].values["energy"]


def test_on_a_trace_that_does_not_vary_the_plans_are_one_but_for_the_spread_of_the_edges_own_times(
        instance: Instance, tmp_path: Path) -> None:  # fmt: skip
    file = tmp_path / "even.csv"
    file.write_text("seconds,rate_mbps\n0,20\n20,20\n")
    points = planned(str(file), instance, ASKED)[2]
    assert points[MEAN].edge_layers == points[ROBUST].edge_layers
    here, promise, points = planned(str(file), instance, ASKED, (1.0, 1.0, 1.0, 1.5))
    assert {one.time_of(1) for one in here.scenarios} == {1.0, 1.5}
    worst = next(one for one, at in zip(here.in_scenarios, here.scenarios, strict=True) if at.time_of(1) == 1.5)
    at_worst = Split.at(worst, [points[ROBUST].edge_layers or ()])
    latency = objectives.get("latency")
    assert latency.value is not None
    assert pytest.approx(points[ROBUST].values["latency@p95"]) == latency.value(at_worst) <= promise.deadline_s


def test_a_lost_image_and_too_few_in_time_are_not_good() -> None:
    promise = Promise(deadline_s=0.2)

    def replay(late: int, lost: int) -> Replay:
        found = [Contestant(name, 1, promise.kept_in([0.1] * (100 - late) + [0.3] * late, lost if name == ADAPTS else 0), 0.1, 1.0,
                            lost if name == ADAPTS else 0) for name in (ROBUST, MEAN, ADAPTS)]  # fmt: skip
        return Replay("t", 0.2, tuple(found), 1.0, 0)

    assert [replay(*case).is_good for case in ((7, 0), (8, 0), (0, 1))] == [True, False, False]


def test_what_it_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    promise = Promise(deadline_s=0.2)
    kept = {ROBUST: [0.1] * 20, MEAN: [0.1] * 12 + [0.4] * 8, ADAPTS: [0.1] * 19 + [0.3]}
    found = [Replay("fading", 0.2, tuple(Contestant(name, 3, promise.kept_in(times), 0.1, 0.5, 0) for name, times in kept.items()),
                    9.0, 2)]  # fmt: skip
    monkeypatch.setattr(contest, "contest", lambda traces, asked, tell: found)
    assert main(["bench", "promises"]) == 0
    out = capsys.readouterr().out
    assert "fading@test, planned from fading@train: 200.00 ms, 2 changes of the cut, 9 s" in out
    assert "12 of 20" in out
    assert main(["bench", "promises", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["is_good"] is True
    found[0] = Replay("fading", 0.2, (Contestant(ROBUST, 3, promise.kept_in([0.3] * 9), 0.3, 0.5, 0),), 9.0, 2)
    assert main(["bench", "promises"]) == 1
    assert "on fading the promise was kept by less than 93 % of images" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.process
def test_a_short_replay_loses_nothing() -> None:
    (found,) = contest.contest(["switching"], Asked("squeezenet1_1", 0.5, 8, 0.4, 0.95))
    assert [one.name for one in found.contestants] == [ROBUST, MEAN, ADAPTS]
    assert [(one.kept.images, one.lost) for one in found.contestants] == [(8, 0)] * 3
