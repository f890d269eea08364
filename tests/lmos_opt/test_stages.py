"""The stages' times by hand, and the intervals that measured times give them."""

from __future__ import annotations

import pytest

from lmos_opt import Instance, NetworkProfile
from lmos_opt.profile import Timing
from lmos_opt.stages import back_bytes, rtt_s, stage_intervals, stage_times, where_measured
from tests.lmos_opt.documents import chain_data, profile_data

CHAIN = Instance.from_dict(chain_data(rtt_s=0.5))
"""Edge 0.25, 0.5, 1 s; server 0.0625, 0.125, 0.25 s; the image 4000 B, outputs 8000, 1000, 40 B at 1e6 B/s."""


@pytest.mark.parametrize(("n", "edge", "hop", "server", "n_bytes"), [
    (0, 0.0, 0.504, 0.4375, 4000), (1, 0.25, 0.508, 0.375, 8000), (2, 0.75, 0.501, 0.25, 1000), (3, 1.75, 0.0, 0.0, 0),
])  # fmt: skip
def test_every_cut_of_a_chain_by_hand(n, edge, hop, server, n_bytes):
    times = stage_times(CHAIN, frozenset(CHAIN.names[:n]))
    assert (times.t_edge_s, times.t_tx_s, times.t_server_s) == pytest.approx((edge, hop, server))
    assert times.latency_s == pytest.approx(edge + hop + server)
    assert times.crossing_bytes == n_bytes


def test_the_fixed_cost_is_paid_where_anything_runs_beyond():
    assert [rtt_s(CHAIN, frozenset(CHAIN.names[:n])) for n in range(4)] == [0.5, 0.5, 0.5, 0.0]


def test_returned_outputs_that_are_made_beyond_come_back():
    layers = [layer.model_dump() | {"returned": layer.name in ("a", "c")} for layer in CHAIN.layers]
    instance = CHAIN.replace(layers=layers, back_bytes_per_s=1e4)
    assert [back_bytes(instance, frozenset(instance.names[:n])) for n in range(4)] == [8040, 40, 40, 0]
    assert [stage_times(instance, frozenset(instance.names[:n])).t_back_s for n in range(4)] == [0.804, 0.004, 0.004, 0.0]


@pytest.fixture
def profile() -> NetworkProfile:
    return NetworkProfile.from_dict(profile_data())


def test_a_stage_of_measured_times_has_an_interval_and_so_has_the_latency(profile):
    instance = Instance.from_profile(profile, edge="local", server="local", rtt=0.0)
    times = stage_times(instance, frozenset())
    found = stage_intervals(times, profile, frozenset(), ("local", "local"), 0.0)
    low, high = found["t_server_s"]
    assert low <= times.t_server_s <= high
    assert low < high
    rest = times.latency_s - times.t_server_s
    assert found["latency_s"] == pytest.approx((rest + low, rest + high))
    assert stage_intervals(times, profile, frozenset(), ("rpi4", "paper-server"), 0.0) == {}


def test_the_link_s_interval_is_that_of_the_measured_exchange(profile):
    timed = profile.model_copy(update={"timing": Timing(exchange_s=0.25, exchange_low_s=0.125, exchange_high_s=0.5)})
    instance = Instance.from_profile(timed, edge="local", server="local")
    times = stage_times(instance, frozenset())
    found = stage_intervals(times, timed, frozenset(), ("local", "local"), instance.rtt_s)
    assert found["t_tx_s"] == pytest.approx((times.t_tx_s - 0.125, times.t_tx_s + 0.25))
    assert "t_tx_s" not in stage_intervals(times, timed, frozenset(), ("local", "local"), 0.125)


def test_what_begins_after_a_rest_takes_its_time_where_a_run_measures_it(profile):
    timed = profile.model_copy(update={"timing": Timing(exchange_s=0.3, restart_s=0.1)})
    assert timed.exchange_s == pytest.approx(0.4)
    for n in range(3):
        times = stage_times(CHAIN, frozenset(CHAIN.names[:n]))
        shown = where_measured(times, timed, ("local", "local"), timed.exchange_s)
        assert shown.t_edge_s == times.t_edge_s  # its layers were timed after a rest
        assert shown.t_server_s - times.t_server_s == pytest.approx(0.1)
        assert sum(shown.in_order_s) == pytest.approx(times.latency_s) == pytest.approx(shown.latency_s)


@pytest.mark.parametrize(("devices", "cost_s", "n"), [
    (("local", "rpi4"), 0.4, 1), (("local", "local"), 0.02, 1), (("local", "local"), 0.4, 3),
])  # fmt: skip
def test_another_cost_of_an_exchange_and_another_machine_hold_no_rest(profile, devices, cost_s, n):
    timed = profile.model_copy(update={"timing": Timing(exchange_s=0.3, restart_s=0.1)})
    times = stage_times(CHAIN, frozenset(CHAIN.names[:n]))
    assert where_measured(times, timed, devices, cost_s) == times
