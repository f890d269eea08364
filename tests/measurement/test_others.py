"""What other programs take of the processors, from counters that are played."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from measurement.timing.others import Others

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def stat(path: Path, user: int, idle: int) -> Path:
    path.write_text(f"cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3 4\n")
    return path


@pytest.mark.parametrize(("busy_s", "idle_s", "own_s", "share"), [(10, 90, 10, 0.0), (60, 40, 10, 0.5), (100, 0, 0, 1.0)])
def test_what_is_not_ours_is_the_others(tmp_path, monkeypatch, busy_s, idle_s, own_s, share):
    spent = iter([5.0, 5.0 + own_s])
    monkeypatch.setattr(os, "times", lambda: os.times_result((next(spent), 0.0, 0.0, 0.0, 0.0)))
    path = stat(tmp_path / "stat", 1000, 5000)
    others = Others(path)
    stat(path, 1000 + round(busy_s / TICK_S), 5000 + round(idle_s / TICK_S))
    assert others.share() == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "intr 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"])
def test_a_system_that_counts_otherwise_is_not_known(tmp_path, text):
    path = tmp_path / "stat"
    path.write_text(text)
    assert Others(path).share() is None
    assert Others(tmp_path / "none").share() is None
