"""The shaped link: exact against a made-up clock, near enough against the real one."""

from __future__ import annotations

import time
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def outage() -> Shape:
    """1000 B/s for a second, nothing for two, 4000 B/s for one; again and again."""
    return Shape(1000.0, changes=((1.0, 0.0), (3.0, 4000.0)), repeats_s=4.0)


def test_bytes_pass_as_the_rates_add_up() -> None:
    shape = outage()
    assert [shape.passed(at_s) for at_s in (0.5, 1.0, 2.5, 3.5, 4.0, 4.5, 8.0)] == [500, 1000, 1000, 3000, 5000, 5500, 10_000]
    assert [shape.when_passed(n) for n in (500, 1000, 1001, 5000, 5500, 6000, 6004, 10_000)] == pytest.approx(
        [0.5, 1.0, 3.00025, 4.0, 4.5, 5.0, 7.001, 8.0])


def test_who_sends_in_an_outage_waits_for_its_end() -> None:
    clock = Clock()
    pacer = Pacer(outage(), clock)
    pacer.start()
    assert took(pacer, clock, 1000) == pytest.approx(1.0)
    assert took(pacer, clock, 400) == pytest.approx(2.1)  # two seconds of nothing, then a tenth
    assert took(pacer, clock, 3600 + 500) == pytest.approx(0.9 + 0.5)  # and from the beginning again


def test_before_the_start_the_first_rate_holds_at_which_anything_passes() -> None:
    clock = Clock()
    assert took(Pacer(Shape(0.0, changes=((5.0, 2000.0),), repeats_s=6.0), clock), clock, 1000) == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [Shape(0.0, repeats_s=1.0), Shape(1e6, changes=((1.0, 0.0),))])
def test_a_link_that_passes_nothing_for_ever_is_refused(shape: Shape) -> None:
    with pytest.raises(InputError, match="nothing passes"):
        Pacer(shape)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_replay_never_delivers_more_than_the_trace_passes_on(data: st.DataObject) -> None:
    """Messages with pauses between them, on a clock that overshoots: since each message began, and since the start, no more has
    arrived than the trace passes on meanwhile."""
    steps = data.draw(st.lists(st.tuples(st.floats(0.05, 3.0), st.sampled_from([0.0, 1e3, 2e4, 3e5])), min_size=1, max_size=6)
                      .filter(lambda steps: any(rate for _, rate in steps)))  # fmt: skip
    first, *later = [rate for _, rate in steps]
    at_s = [0.0, *accumulate(lasts for lasts, _ in steps)]
    shape = Shape(first, data.draw(st.sampled_from([0.0, 0.03])), tuple(zip(at_s[1:-1], later, strict=True)), repeats_s=at_s[-1])
    clock = Clock(overshoot_s=data.draw(st.sampled_from([0.0, 0.004])))
    pacer = Pacer(shape, clock)
    pacer.start()
    started, sent = clock.now, 0
    for pause_s, n_bytes in data.draw(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 5.0]), st.integers(1, 9000)), max_size=8)):
        clock.now += pause_s
        pacer.begin()
        before, rest = shape.passed(clock.now - started), n_bytes
        while rest:
            piece = min(rest, pacer.quantum_bytes)
            wait(pacer, clock, piece)
            rest, sent, passed = rest - piece, sent + piece, shape.passed(clock.now - started)
            assert sent <= passed + 1e-3
            assert n_bytes - rest <= passed - before + 1e-3
