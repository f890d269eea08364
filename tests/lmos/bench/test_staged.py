"""Stages' errors and regrets from numbers by hand; one small run of the benchmark itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lmos.bench.predictions import Comparison
from lmos.bench.regret import Regret
from lmos.bench.staged import errors_of, stages_of
from lmos.cli import main
from lmos.commands.bench_predictions import NETWORKS


def comparison(predicted: tuple[float, float, float], times: list[float], **more: Any) -> Comparison:
    stages = ("t_edge_s", "t_tx_s", "t_server_s")
    each = {stage: list(times) for stage in stages}
    return Comparison("net", 3, 2, len(times), dict(zip(stages, predicted, strict=True)), dict.fromkeys(stages, 1.0), each, **more)


def test_errors_are_relative_to_what_was_measured_and_each_stage_has_its_own():
    staged = stages_of([comparison((1.1, 1.0, 0.5), [1.0] * 4), comparison((0.8, 1.0, 1.0), [1.0] * 4)])
    errors = {one.stage: (one.median, one.worst, one.is_kept) for one in errors_of(staged)}
    assert errors["t_edge_s"] == pytest.approx((0.15, 0.2, False))
    assert errors["t_tx_s"] == (0.0, 0.0, True)
    assert errors["t_server_s"] == pytest.approx((0.25, 0.5, False))


def test_a_part_without_layers_has_no_error():
    assert [one.stage for one in stages_of([comparison((0.0, 1.0, 1.0), [1.0, 1.0])])] == ["t_tx_s", "t_server_s"]


@pytest.mark.parametrize(("times", "more", "word"), [
    ([1.0] * 8, {}, None), ([5.0] + [1.0] * 7, {}, "cold"), ([0.5, 0.7, 1.0, 1.0, 1.3, 1.6], {}, "spread"),
    ([1.0] * 8, {"others_profiled": 0.4}, "was timed"), ([1.0] * 8, {"others_run": 0.4}, "ran"),
    ([1.0] * 8, {"others_run": 0.02, "others_profiled": 0.01}, None),
    ([1.0] * 8, {"slowest": {"t_edge_s": 1.5, "t_tx_s": 1.0, "t_server_s": 1.0}}, "1.50 times"),
])  # fmt: skip
def test_a_report_says_why_a_stage_may_have_missed(times, more, word):
    reasons = stages_of([comparison((1.0, 1.0, 1.0), times, **more)])[0].reasons
    assert [word in reason for reason in reasons] == ([] if word is None else [True])


def test_regret_is_the_chosen_cuts_latency_over_the_best_ones():
    found = Regret("net", {0: 3.0, 1: 1.0, 2: 2.0}, {0: 3.0, 1: 1.32, 2: 1.2})
    assert (found.chosen, found.best) == (1, 2)
    assert found.ratio == pytest.approx(1.1)
    assert Regret("net", {0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).ratio == 1.0


@pytest.mark.parametrize(("options", "compared", "regretted"), [
    ([], NETWORKS.split(","), []), (["--stages"], NETWORKS.split(","), []), (["--regret", "a,b"], [], ["a", "b"]),
    (["--regret", "a", "--stages"], NETWORKS.split(","), ["a"]), (["--regret", "a", "--networks", "c"], ["c"], ["a"]),
])  # fmt: skip
def test_a_regret_alone_measures_no_other_networks(monkeypatch, options, compared, regretted):
    asked: dict[str, list[str]] = {"compared": [], "regretted": []}

    def compare(networks, *_):
        asked["compared"] += networks
        return [replace(one, predicted={**one.predicted, "latency_s": 3.0}, measured={**one.measured, "latency_s": 3.0})
                for one in [comparison((1.0, 1.0, 1.0), [1.0] * 4)] if networks]

    def measure(name, *_):
        asked["regretted"].append(name)
        return Regret(name, {0: 1.0}, {0: 1.0})

    monkeypatch.setattr("lmos.commands.bench_predictions.compare", compare)
    monkeypatch.setattr("lmos.commands.bench_predictions.timed", lambda name: name)
    monkeypatch.setattr("lmos.bench.regret.regret", measure)
    assert main(["bench", "predictions", "--json", *options]) == 0
    assert asked == {"compared": compared, "regretted": regretted}
