"""Layer times measured in place."""

from __future__ import annotations

import os
import time
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from lmos_opt import InputError, Instance, NetworkProfile
from measurement import profile_network, time_layers, timed_profile, trace_network
from measurement.timing.held import held_bytes
from measurement.timing.stepping import Steps


@pytest.fixture
def set_clock(monkeypatch):
    """Sets what reads the time, and rests, while layers are timed."""

    def set_to(perf_counter, sleep):
        for module in ("measurement.timing.time", "measurement.timing.stepping.time"):
            monkeypatch.setattr(module, SimpleNamespace(perf_counter=perf_counter, sleep=sleep))

    return set_to


def test_layer_times_add_up_to_the_whole(set_clock):
    """By a clock of this thread's work alone: other programs on the machine lengthen no layer, and not the whole."""
    set_clock(time.thread_time, time.sleep)
    module, x = get_model("alexnet", weights=None), torch.randn(1, 3, 224, 224)
    times = time_layers(trace_network(module, x), module, x, threads=1, budget_s=0.1)
    assert times.repeats >= 5
    assert times.threads == 1
    assert sum(times.seconds.values()) == pytest.approx(times.whole_s)
    assert 0.75 < times.sum_s / times.whole_s < 1.33
    assert sum(times.seconds.values()) == pytest.approx(times.scale * (times.sum_s - times.clock_s))
    assert times.seconds["features.3"] > 5 * times.seconds["classifier.5"]
    assert all(found.low <= found.value <= found.high for found in (times.whole, *times.layers.values()))
    assert times.seconds["flatten"] < times.seconds["features.3"] / 100  # a view


def test_layers_have_the_times_that_they_take(set_clock):
    """By a clock that goes on by 1 each time it is read, by 1000 in a rest, and by what each layer takes when it runs."""
    now = [0.0]

    def goes_on(seconds):
        now[0] += seconds
        return now[0]

    class Takes(nn.Linear):
        def __init__(self, seconds):
            super().__init__(8, 8)
            self.seconds = seconds

        def forward(self, x):
            goes_on(self.seconds)
            return super().forward(x)

    set_clock(lambda: goes_on(1.0), lambda seconds: goes_on(1000.0))
    module, x = nn.Sequential(Takes(100.0), nn.ReLU(), Takes(20.0), Takes(3.0)), torch.randn(1, 8)
    times = time_layers(trace_network(module, x, opaque=("0", "2", "3")), module, x)
    assert (times.whole_s, times.sum_s, times.clock_s) == (124, 127, 4)
    assert times.scale == 124 / 123  # the whole's own reading of the clock
    assert times.seconds == pytest.approx({name: taken * times.scale for name, taken in zip("0123", (100, 0, 20, 3), strict=True)})
    assert all(found.low == found.value == found.high for found in (times.whole, *times.layers.values()))
    assert (times.ended, times.restart_s) == ("precision", 0)


def test_runs_go_on_until_medians_are_sure_or_the_budget_is_spent():
    module, x = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)), torch.randn(16, 256)
    traced = trace_network(module, x)
    sure = time_layers(traced, module, x, threads=1, precision=1e9, budget_s=60, rest_s=0.0)
    assert (sure.ended, sure.repeats) == ("precision", 5)
    spent = time_layers(traced, module, x, threads=1, precision=1e-9, budget_s=1e-9, rest_s=0.0)
    assert (spent.ended, spent.repeats) == ("budget", 5)


def test_a_pause_counts_to_no_layer_and_nothing_else_is_skipped(set_clock):
    """By a clock that goes on by 1 each time it is read, and by 1000 in a pause."""
    now = count()
    set_clock(lambda: next(now), lambda seconds: [next(now) for _ in range(1000)])
    module, x = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)), torch.randn(1, 8)
    steps = Steps(trace_network(module.eval(), x))
    for layer in (None, *steps.layers):
        began = next(now)
        assert steps.time(x, layer, 0.2) == {"0": 1, "1": 1, "2": 1}
        assert next(now) - began == (1006 if layer else 5)
    assert sum(steps.idle().time(x).values()) > 0


def test_a_layer_holds_its_output_and_views_and_operations_in_place_hold_nothing():
    class Views(nn.Module):
        def forward(self, x):
            y = torch.relu(x)  # 4 kB
            z = y.relu_().add_(1).view(1, -1)
            return z.flatten(1).chunk(2, dim=1)[0].t().unsqueeze(0), torch.cat([z, z], dim=1).sum(1)

    x = torch.randn(1, 4, 16, 16)
    traced = trace_network(Views(), x)
    with torch.inference_mode():
        held = held_bytes(Steps(traced), x)
    assert held.pop("relu") == 4096
    assert held.pop("cat") == 8192
    assert 4 <= held.pop("sum") < 1024
    assert len(held) >= 7
    assert held.pop("add") < 64  # the number 1 as a tensor
    assert set(held.values()) == {0}, held


def test_the_profiler_is_as_quiet_as_it_was_asked_to_be(capfd, monkeypatch):
    x = torch.randn(1, 8)
    steps = Steps(trace_network(nn.Sequential(nn.Linear(8, 8)).eval(), x))
    monkeypatch.delenv("KINETO_LOG_LEVEL", raising=False)
    held_bytes(steps, x)
    assert "KINETO_LOG_LEVEL" not in os.environ
    assert capfd.readouterr() == ("", "")


def test_in_place_operations_do_not_drift():
    class Double(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x):
            return x.mul_(1e30).add_(1)

    x = torch.full((4,), 2.0)
    module = Double()
    times = time_layers(trace_network(module, x), module, x, budget_s=0.01)
    assert torch.equal(x, torch.full((4,), 2.0))
    assert set(times.seconds) == {"mul", "add"}


def test_timed_profile_says_its_conditions_and_feeds_the_local_device():
    module, x = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)), torch.randn(1, 8)
    threads = torch.get_num_threads()
    profile = timed_profile(profile_network(module, x), module, x, threads=1, budget_s=0.05)
    assert module.training
    assert torch.get_num_threads() == threads
    assert profile.is_timed
    assert profile.timing is not None
    said = profile.to_dict()["timing"].keys()
    assert {"torch", "threads", "cpu", "repeats", "whole_s", "sum_s", "difference_s", "outliers"} <= said
    assert profile.timing.threads == 1
    assert NetworkProfile.from_dict(profile.to_dict()) == profile
    assert [layer.peak_local_bytes for layer in profile.layers] == [32, 0, 8]
    assert all(layer.t_local_low_s <= layer.t_local_s <= layer.t_local_high_s for layer in profile.layers)
    instance = Instance.from_profile(profile, edge="local", server="paper-server")
    assert [layer.t_edge_s for layer in instance.layers] == [layer.t_local_s for layer in profile.layers]


def test_profile_of_another_network_is_refused():
    x = torch.randn(1, 8)
    profile = profile_network(nn.Sequential(nn.Linear(8, 8)), x)
    with pytest.raises(InputError, match="not those of the network"):
        timed_profile(profile, nn.Sequential(nn.Linear(8, 8), nn.ReLU()), x)


@pytest.mark.parametrize("wrong", [{"budget_s": 0}, {"threads": 0}, {"precision": 0.0}, {"precision": float("nan")},
                                   {"rest_s": -1.0}, {"rest_s": float("nan")}])  # fmt: skip
def test_conditions_that_measure_nothing_are_refused(wrong):
    module, x = nn.Sequential(nn.Linear(8, 8)), torch.randn(1, 8)
    with pytest.raises(InputError, match=r"positive|rests for"):
        time_layers(trace_network(module, x), module, x, **wrong)
