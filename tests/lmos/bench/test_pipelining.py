"""Pipelined throughput beside the slowest stage's: a short run, and what is made of its numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lmos.bench.pipelining import CASES, Case, Outcome, Stage, measure, steady_images_per_s
from lmos.cli import main

STAGES: dict[Stage, float] = {"edge": 0.1, "link": 0.02, "server": 0.05}
GOOD = Outcome(CASES[0], 40, STAGES, STAGES, alone_images_per_s=5.0, images_per_s=9.5, whole_images_per_s=9.0)


@pytest.mark.slow
@pytest.mark.process
def test_a_short_run_has_every_stage(tmp_path: Path) -> None:
    found = measure(Case("link", "squeezenet1_1", 35, "5Mbps"), 6, tmp_path)
    assert found.slowest == "link"
    assert found.alone_s["link"] >= 32448 / (5e6 / 8)  # what crosses, at the link's rate
    assert min(*found.alone_s.values(), *found.pipelined_s.values()) > 0
    assert found.images_per_s <= 1.1 * 5e6 / 8 / 32448
    assert found.share == found.images_per_s * found.alone_s["link"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.slowest)
def test_the_promise_is_kept(case: Case, tmp_path: Path) -> None:
    assert measure(case, 40, tmp_path).fault is None


def test_the_steady_state_begins_when_the_pipeline_is_full() -> None:
    ends = [5.0, 6.0, 7.0, 8.0, 8.5, 9.0, 9.5]  # a slow beginning, then two a second
    assert steady_images_per_s(ends, 4) == 2
    assert steady_images_per_s([*ends, 11.5], 4) == pytest.approx(4 / 3.5)  # the end counts


def test_a_fault_is_named() -> None:
    assert GOOD.fault is None
    assert GOOD.share == pytest.approx(0.95)
    slow = replace(GOOD, images_per_s=8.9)
    assert slow.fault is not None
    assert "0.89" in slow.fault
    other = replace(GOOD, alone_s={"edge": 0.1, "link": 0.3, "server": 0.05})
    assert other.fault is not None
    assert "the link is the slowest where the edge was meant to be" in other.fault


def test_a_stage_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pipeline", "--only", "edge,cloud"]) == 2
    assert "--only: 'cloud' is not one of edge" in capsys.readouterr().err
