"""The shaped link: exact against a made-up clock, near enough against the real one."""

from __future__ import annotations

import time

import pytest

from lmos_opt.errors import InputError
from runner.wire.shaping import MOST_LAG_S, Pacer, Shape, as_pacer, parse_shape


class Clock:
    """A clock that moves only while somebody sleeps, and then overshoots as real ones do."""

    def __init__(self, overshoot_s: float = 0.0) -> None:
        self.now, self.overshoot_s = 100.0, overshoot_s

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.overshoot_s


def wait(pacer: Pacer, clock: Clock, n_bytes: int) -> None:
    due = pacer.due(n_bytes)
    while (left := due - clock.now) > 0:
        clock.sleep(left)


def took(pacer: Pacer, clock: Clock, n_bytes: int) -> float:
    begin = clock.now
    pacer.begin()
    while n_bytes:
        piece = min(n_bytes, pacer.quantum_bytes)
        wait(pacer, clock, piece)
        n_bytes -= piece
    return clock.now - begin


@pytest.mark.parametrize(("text", "shape"), [
    ("10Mbps", Shape(1.25e6)), ("10Mbps,20ms", Shape(1.25e6, 0.02)), (" 1MB/s , 0.5 ", Shape(1e6, 0.5)),
    ("2MB/s,1MB/s@20s,3MB/s@1min", Shape(2e6, 0.0, ((20.0, 1e6), (60.0, 3e6)))),
    ("2MB/s@0s, 1MB/s@5s, 7ms", Shape(2e6, 0.007, ((5.0, 1e6),))),
])  # fmt: skip
def test_shapes_are_read(text: str, shape: Shape) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "10", "fast", "0Mbps", "10Mbps,", "-1Mbps", "10Mbps,20ms,3ms", ",2s",
                                  "2Mbps@3s", "2Mbps,5Mbps@",
                                  "2Mbps,5Mbps@9s,3Mbps@9s", "2Mbps,5Mbps@0s", "2Mbps,@3s", "2Mbps,5Mbps@3s,"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="shape"):
        parse_shape(text)


@pytest.mark.parametrize("n_bytes", [1, 1448, 1449, 100_000, 10_000_000])
@pytest.mark.parametrize("rate", [12_500.0, 1.25e6, 1.25e8])
def test_a_message_takes_its_bytes_over_the_rate_and_the_delay_once(n_bytes: int, rate: float) -> None:
    clock = Clock()
    assert took(Pacer(Shape(rate, 0.02), clock), clock, n_bytes) == pytest.approx(n_bytes / rate + 0.02)


def test_late_wake_ups_are_made_up_for() -> None:
    clock = Clock(overshoot_s=0.0015)
    pacer = Pacer(Shape(1.25e6), clock)
    assert took(pacer, clock, 1_000_000) == pytest.approx(0.8, abs=0.002)


def test_a_long_pause_gives_no_burst() -> None:
    clock = Clock()
    pacer = Pacer(Shape(1.25e6), clock)
    pacer.begin()
    clock.now += 10.0
    begin = clock.now
    for _ in range(100):
        wait(pacer, clock, 2500)
    assert 0.2 - MOST_LAG_S - 1e-9 <= clock.now - begin <= 0.2


def test_an_idle_link_saves_nothing_for_the_next_message() -> None:
    clock = Clock()
    pacer = Pacer(Shape(1.25e6), clock)
    took(pacer, clock, 1000)
    clock.now += 60.0
    assert took(pacer, clock, 125_000) == pytest.approx(0.1)


def test_a_message_right_behind_another_waits_for_the_rate_alone() -> None:
    clock = Clock()
    pacer = Pacer(Shape(1.25e6, 0.05), clock)
    assert took(pacer, clock, 125_000) == pytest.approx(0.15)
    begin = clock.now
    for _ in range(50):
        wait(pacer, clock, 2500)
    assert clock.now - begin == pytest.approx(0.1)


@pytest.mark.parametrize(("rate", "n_bytes"), [(1.25e6, 250_000), (2.5e7, 5_000_000)])
def test_on_the_real_clock_it_is_never_faster_than_asked(rate: float, n_bytes: int) -> None:
    """How much slower it is depends on what else the machine does; that it makes up for it, the made-up clock says."""
    pacer, rest = Pacer(Shape(rate)), n_bytes
    begin = time.perf_counter()
    pacer.begin()
    while rest > 0:
        time.sleep(max(pacer.due(min(rest, pacer.quantum_bytes)) - time.monotonic(), 0))
        rest -= pacer.quantum_bytes
    assert (time.perf_counter() - begin) * rate / n_bytes >= 0.999


def test_a_rate_changes_at_its_time_and_no_sooner() -> None:
    clock = Clock()
    pacer = Pacer(Shape(1e6, changes=((10.0, 4e6), (20.0, 5e5))), clock)
    clock.now += 30.0  # nothing counts before the start
    assert took(pacer, clock, 100_000) == pytest.approx(0.1)
    pacer.start()
    assert took(pacer, clock, 100_000) == pytest.approx(0.1)
    clock.now += 10.0
    assert took(pacer, clock, 100_000) == pytest.approx(0.025)
    clock.now += 10.0
    assert took(pacer, clock, 100_000) == pytest.approx(0.2)


def test_a_message_under_way_feels_the_change() -> None:
    clock = Clock()
    pacer = Pacer(Shape(1e6, changes=((1.0, 1e5),)), clock)
    pacer.start()
    assert took(pacer, clock, 1_100_000) == pytest.approx(2.0, abs=0.05)


def test_a_link_is_held_to_what_it_is_told() -> None:
    clock = Clock()
    pacer = Pacer(Shape(1e6), clock)
    pacer.hold_to(2e6)
    assert took(pacer, clock, 100_000) == pytest.approx(0.05)


def test_two_senders_of_one_link_take_turns() -> None:
    """Each finds half of the rate where both send at once."""
    clock = Clock()
    pacer = Pacer(Shape(1e6), clock)
    pacer.begin()
    pacer.begin()
    ends = [pacer.due(2000) for _ in range(100)]
    assert ends[-1] - clock.now == pytest.approx(0.2)
    assert as_pacer(pacer) is pacer
    assert as_pacer(pacer.shape) is not pacer
