"""Arrays through `connect` beside `lmos run --pipeline`: a short run in two processes, and what is made of its numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lmos.bench.connecting import Outcome, measure

GOOD = Outcome(1000, run_images_per_s=[100.0, 90.0, 110.0], connect_images_per_s=[96.0, 99.0, 80.0])


@pytest.mark.process
def test_no_array_is_lost_or_wrong_though_the_server_dies(tmp_path: Path) -> None:
    found = measure(40, 1, tmp_path)
    assert (found.wrong, found.lost, found.fallbacks, found.restarts) == (0, 0, 0, 1)
    assert len(found.run_images_per_s) == len(found.connect_images_per_s) == 1


@pytest.mark.slow
@pytest.mark.process
def test_the_promise_is_kept(tmp_path: Path) -> None:
    assert measure(1000, 5, tmp_path).fault is None


def test_a_fault_is_named() -> None:
    assert GOOD.share == 0.96
    assert GOOD.fault is None
    slow = replace(GOOD, connect_images_per_s=[94.0])
    assert slow.fault == "the throughput is 0.94 of that of lmos run --pipeline"
    for wrong in ({"wrong": 1}, {"lost": 1}, {"fallbacks": 1}):
        assert "were finished at the edge" in str(replace(GOOD, **wrong).fault)
