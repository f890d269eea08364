"""Traces: means and parts by hand, and what no trace is."""

from __future__ import annotations

import pytest

from lmos_opt.errors import InputError
from lmos_opt.traces.record import LinkTrace

STEPS = [(1.0, 100.0), (2.0, 0.0), (1.0, 400.0), (4.0, 50.0)]
TRACE = LinkTrace.of_steps("steps", "by hand", STEPS)


def test_rates_hold_from_their_seconds_on() -> None:
    assert TRACE.seconds == (0.0, 1.0, 3.0, 4.0)
    assert TRACE.ends_s == 8.0
    assert TRACE.lasts_s == [1.0, 2.0, 1.0, 4.0]
    assert TRACE.mean_bytes_per_s == (100 + 400 + 200) / 8
    assert LinkTrace.from_dict(TRACE.to_dict()) == TRACE


@pytest.mark.parametrize(("share", "rate"), [(0.125, 400.0), (0.25, 100.0), (0.26, 50.0), (0.75, 50.0), (0.76, 0.0), (1.0, 0.0)])
def test_a_rate_is_reached_so_much_of_the_time(share: float, rate: float) -> None:
    assert TRACE.reached(share) == rate


@pytest.mark.parametrize(("part", "seconds", "rates", "lasts"), [
    ("train", (0.0, 1.0, 3.0), (100.0, 0.0, 400.0), 4.0), ("test", (0.0,), (50.0,), 4.0),
    ("0.5s..3.5s", (0.0, 0.5, 2.5), (100.0, 0.0, 400.0), 3.0), ("2s..", (0.0, 1.0, 2.0), (0.0, 400.0, 50.0), 6.0),
    ("..500ms", (0.0,), (100.0,), 0.5),
])  # fmt: skip
def test_parts_begin_at_0(part: str, seconds: tuple[float, ...], rates: tuple[float, ...], lasts: float) -> None:
    found = TRACE.part(part)
    assert (found.seconds, found.rate_bytes_per_s, found.ends_s) == (seconds, rates, lasts)
    assert found.name.startswith("steps@")


def test_train_and_test_share_no_second_and_leave_none_out() -> None:
    train, test = TRACE.part("train"), TRACE.part("test")
    assert train.ends_s + test.ends_s == TRACE.ends_s
    assert train.mean_bytes_per_s + test.mean_bytes_per_s == pytest.approx(2 * TRACE.mean_bytes_per_s)


@pytest.mark.parametrize("part", ["half", "8s..9s", "3s..2s", "0s..9s", "a..b", ""])
def test_what_is_no_part_is_refused(part: str) -> None:
    with pytest.raises(InputError, match="part"):
        TRACE.part(part)


@pytest.mark.parametrize(("change", "path"), [
    ({"seconds": [1.0, 2.0, 3.0, 4.0]}, r"seconds\[0\]: got 1.0, expected 0"),
    ({"seconds": [0.0, 1.0, 1.0, 4.0]}, r"seconds\[2\]: got 1.0, expected more than 1.0"),
    ({"ends_s": 4.0}, "ends_s: got 4.0, expected more than the last"),
    ({"rate_bytes_per_s": [0.0] * 4}, "is 0 throughout"),
    ({"rate_bytes_per_s": [1.0] * 3}, "rate_bytes_per_s: has 3 numbers, seconds 4"),
    ({"rtt_s": [0.1]}, "rtt_s: has 1 numbers, seconds 4"),
    ({"rate_bytes_per_s": [1.0, -1.0, 1.0, 1.0]}, r"rate_bytes_per_s\[1\]: got -1.0"),
])  # fmt: skip
def test_a_wrong_key_is_named(change: dict[str, object], path: str) -> None:
    with pytest.raises(InputError, match=path):
        LinkTrace.from_dict({**TRACE.to_dict(), **change}, "t.json")
