"""How fast the processors were: shares of the best, in numbers and in words."""

from __future__ import annotations

import os

import pytest

from lmos.bench import pace as pace_module
from lmos.bench.pace import Pace, work_s


def test_shares_are_of_the_best_look(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([9.0, 1.0, 2.0, 4.0, 4.0, 4.0, 2.5, 2.5, 2.0, 3.0, 2.0, 2.0])
    monkeypatch.setattr(pace_module, "work_s", lambda: next(times))
    pace = Pace()
    for _ in range(2):
        pace.note([set(), set()])
    assert pace.times == [2.0, 4.0, 2.5, 2.0]
    assert pace.summary() == {"least": 0.5, "median": 0.9, "slow": 0.25}
    assert str(pace) == ("the processors ran at 50% of their best pace or more, at 90% in the median; "
                         "25% of the looks found one below 80%")  # fmt: skip


def test_nothing_is_said_of_what_nobody_looked_at() -> None:
    assert Pace().summary() == {}
    assert str(Pace()) == "nobody looked at the processors' pace"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes cannot be moved here")
def test_a_look_is_on_the_processors_of_its_side() -> None:
    every, seen = os.sched_getaffinity(0), list[set[int]]()
    one = {min(every)}
    try:
        Pace().note([one])
        seen.append(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, every)
    assert seen == [one]
    assert work_s() > 0
