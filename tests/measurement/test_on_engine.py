"""Layers' times as differences of a network's later parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from measurement import profile_network, trace
from measurement.timing.on_engine import LaterParts, time_later_parts, time_on
from tests.measurement.engines.here import Here


class Counting(Here):
    """Takes as many seconds as there are calls of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def call_s(self, function, repeats):
        self.asked += 1
        counted = 0
        add = torch.nn.modules.module.register_module_forward_hook

        def count(module, args, output):
            nonlocal counted
            counted += type(module) is nn.Linear

        handle = add(count)
        function()
        handle.remove()
        return [float(counted)] * repeats


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right, self.end = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        return self.end(self.left(x) + torch.relu(self.right(x)))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return trace(Branches().eval(), torch.randn(1, 4))


def test_later_parts_give_what_the_whole_gives(network):
    example = torch.randn(1, 4)
    module = Branches().eval()
    traced = trace(module, example)
    parts = LaterParts(Here(), traced, example)
    with torch.inference_mode():
        for first in range(len(traced.layers)):
            assert torch.equal(parts.run_from(first)()[0], module(example))


def test_times_behind_each_place_are_those_of_the_part(network):
    engine = Counting()
    layers, whole = time_later_parts(LaterParts(engine, network, torch.randn(1, 4)), engine, budget_s=60)
    assert whole.value == 4
    for first, layer in enumerate(network.layers):
        behind = sum(layers[one.name].value for one in network.layers[first:])
        assert behind == sum(one.name in {"stem", "left", "right", "end"} for one in network.layers[first:]), layer.name


def test_a_spent_budget_leaves_fewer_places_and_the_same_sum():
    torch.manual_seed(0)
    module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(40))).eval()
    traced = trace(module, torch.randn(1, 4))
    engine = Counting()
    layers, whole = time_later_parts(LaterParts(engine, traced, torch.randn(1, 4)), engine, budget_s=1e-9)
    assert whole.value == sum(found.value for found in layers.values()) == 40
    assert set(layers) == {layer.name for layer in traced.layers}
    assert all(found.value == pytest.approx(1.0) for found in layers.values())


def test_the_profile_says_what_computed(network):
    example = torch.randn(1, 4)
    engine = Counting()
    found = time_on(profile_network(Branches().eval(), example), network, example, engine)
    assert sum(layer.t_local_s for layer in found.layers) == 4
    assert found.timing.engine == "torch:here"
    assert found.timing.device == "cpu"
    assert found.timing.whole_s == 4
