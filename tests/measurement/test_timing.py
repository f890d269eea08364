"""Layer times measured in place."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from lmos_opt import InputError, Instance
from measurement import profile_network, time_layers, timed_profile, trace_network


def test_layer_times_add_up_to_the_whole():
    module, x = get_model("alexnet", weights=None), torch.randn(1, 3, 224, 224)
    times = time_layers(trace_network(module, x), module, x, threads=1, budget_s=3)
    assert times.repeats >= 5
    assert times.threads == 1
    assert 0.6 < sum(times.seconds.values()) / times.whole_s < 1.6
    assert times.seconds["features.3"] > 5 * times.seconds["classifier.5"]


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
    assert {"torch", "threads", "cpu", "repeats", "whole_s"} <= profile.timing.keys()
    assert profile.timing["threads"] == 1
    instance = Instance.from_profile(profile, edge="local", server="paper-server")
    assert [layer.t_edge_s for layer in instance.layers] == [layer.t_local_s for layer in profile.layers]


def test_profile_of_another_network_is_refused():
    x = torch.randn(1, 8)
    profile = profile_network(nn.Sequential(nn.Linear(8, 8)), x)
    with pytest.raises(InputError, match="not those of the network"):
        timed_profile(profile, nn.Sequential(nn.Linear(8, 8), nn.ReLU()), x)


@pytest.mark.parametrize("wrong", [{"budget_s": 0}, {"threads": 0}])
def test_conditions_that_measure_nothing_are_refused(wrong):
    module, x = nn.Sequential(nn.Linear(8, 8)), torch.randn(1, 8)
    with pytest.raises(InputError, match="positive"):
        time_layers(trace_network(module, x), module, x, **wrong)
