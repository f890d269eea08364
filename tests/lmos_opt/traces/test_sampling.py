"""Scenarios from traces: windows by hand, and what blocks leave as it is: how often each window comes."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile
from lmos_opt.scenarios.records import ScenariosFile
from lmos_opt.sources import Options, instance_of, load_source
from lmos_opt.split import Split
from lmos_opt.traces.record import LinkTrace
from lmos_opt.traces.sampling import LEAST_BYTES_PER_S, Drawing, draw_rates, draw_scenarios, windows

TRACE = LinkTrace.of_steps("t", "by hand", [(0.5, 1000.0), (1.0, 4000.0), (1.5, 0.0), (1.25, 8000.0)])
"""In seconds: half of 1000 and half of 4000, half of 4000, nothing, 8000; a quarter is left."""
RATES = [2500.0, 2000.0, 0.0, 8000.0]


class Starts:
    """A chance that draws each start once, in their order."""

    def __init__(self) -> None:
        self.next = 0

    def randrange(self, n: int) -> int:
        self.next += 1
        return (self.next - 1) % n


def test_windows_have_the_mean_rate_of_their_time() -> None:
    assert windows(TRACE, 1.0) == RATES
    assert windows(TRACE, 2.0) == [2250.0, 4000.0]
    assert sum(windows(TRACE, 0.25)) * 0.25 == pytest.approx(TRACE.mean_bytes_per_s * TRACE.ends_s)


@settings(max_examples=60, deadline=None)
@given(rates=st.lists(st.integers(1, 10**7), min_size=1, max_size=40, unique=True), data=st.data())
def test_every_window_is_as_likely_as_any_other_whatever_the_blocks(rates: list[int], data: st.DataObject) -> None:
    """Over all starts, which are drawn with equal chances, each window comes equally often: the rates are the trace's."""
    trace = LinkTrace.of_steps("t", "", [(1.0, float(rate + LEAST_BYTES_PER_S)) for rate in rates])
    block = data.draw(st.integers(1, len(rates)))
    how = Drawing(count=len(rates) * block, block_s=float(block))
    drawn = Counter(draw_rates(trace, how, Starts()))  # type: ignore[arg-type]
    assert drawn == dict.fromkeys(trace.rate_bytes_per_s, block)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), block=st.integers(1, 6), count=st.integers(1, 50))
def test_blocks_are_windows_in_a_row(seed: int, block: int, count: int) -> None:
    trace = LinkTrace.of_steps("t", "", [(1.0, 1000.0 + k) for k in range(6)])
    drawn = [int(rate) - 1000 for rate in draw_rates(trace, Drawing(count, float(block)), random.Random(seed))]
    assert len(drawn) == count
    assert all(drawn[k] == (drawn[k - 1] + 1) % 6 for k in range(count) if k % block)


def test_scenarios_are_factors_of_the_mean_and_weigh_as_often_as_they_were_drawn() -> None:
    found = draw_scenarios(TRACE, Drawing(count=40, block_s=2.0))
    mean = TRACE.mean_bytes_per_s
    assert found.bandwidth_bytes_per_s == (mean,)
    assert sum(one.weight for one in found.scenarios) == 40
    drawn = {round(one.bandwidth_of(1) * mean, 6): one.weight for one in found.scenarios}
    assert set(drawn) == {max(rate, LEAST_BYTES_PER_S) for rate in RATES}
    assert draw_scenarios(TRACE, Drawing(count=40, block_s=2.0)) == found
    assert draw_scenarios(TRACE, Drawing(count=40, block_s=2.0, seed=1)) != found


def test_the_slowest_of_several_samples_is_slower() -> None:
    trace = LinkTrace.of_steps("t", "", [(1.0, 1000.0 * (1 + k * k % 17)) for k in range(60)])

    def slowest(worst_of: int) -> float:
        return min(one.bandwidth_of(1) for one in draw_scenarios(trace, Drawing(20, 5.0, worst_of=worst_of)).scenarios)

    assert slowest(20) <= slowest(1)


def test_each_hop_has_a_trace() -> None:
    slow = LinkTrace.of_steps("slow", "", [(1.0, 100.0), (1.0, 300.0)], rtt_s=(0.1, 0.2))
    found = draw_scenarios([TRACE, slow], Drawing(count=10, block_s=1.0))
    assert found.bandwidth_bytes_per_s == (TRACE.mean_bytes_per_s, 200.0)
    assert found.rtt_s == (0.0, 0.2)
    assert all(one.bandwidth_of(2) * 200.0 in (LEAST_BYTES_PER_S, 300.0) for one in found.scenarios)


@pytest.mark.parametrize("how", [Drawing(block_s=5.0), Drawing(block_s=0.2), Drawing(count=0), Drawing(step_s=9.0),
                                 Drawing(step_s=0.0), Drawing(worst_of=0)])
def test_what_cannot_be_drawn_is_refused(how: Drawing) -> None:
    with pytest.raises(InputError, match="expected"):
        draw_scenarios(TRACE, how)


def test_a_file_of_measured_rates_means_the_same_rates_at_any_bandwidth(tmp_path: Path) -> None:
    """Without a bandwidth of the user's, theirs is taken; with one, factors are of that."""
    file = tmp_path / "s.json"
    trace = LinkTrace.of_steps("t", "", [(1.0, 1e6), (1.0, 3e6)], rtt_s=(0.01, 0.03))
    draw_scenarios(trace, Drawing(count=20, block_s=1.0)).save(file)
    profile = load_source("alexnet")
    assert isinstance(profile, NetworkProfile)
    by_file = instance_of(profile, Options(scenarios=str(file)))
    asked = instance_of(profile, Options(scenarios=str(file), bandwidth="8Mbps", rtt="30ms"))
    assert (by_file.bandwidth_bytes_per_s, by_file.rtt_s) == (2e6, 0.03)
    assert asked.bandwidth_bytes_per_s == 1e6
    split = [Split.at(one, [one.names[:3]]) for one in (*by_file.in_scenarios, *asked.in_scenarios)]
    latencies = [one.times.latency_s for one in split]
    assert latencies[: len(latencies) // 2] == pytest.approx(latencies[len(latencies) // 2 :])


def test_a_file_of_another_number_of_hops_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    draw_scenarios([TRACE, TRACE], Drawing(count=4, block_s=1.0)).save(file)
    with pytest.raises(InputError, match=r"bandwidth_bytes_per_s: has 2 rates; expected 1, one for each hop"):
        instance_of(load_source("alexnet"), Options(scenarios=str(file)))
    assert ScenariosFile.load(file).name == "t, t"
