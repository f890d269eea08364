"""Layers' times as differences of a network's later parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from measurement import profile_network, trace
from measurement.engines import Loaded, get
from measurement.timing import on_engine
from measurement.timing.on_engine import LaterParts, time_later_parts, time_on
from tests.measurement.engines.here import Here


class Counted(Loaded):
    def __init__(self, usual, linear):
        self._usual, self.compute_s = usual, float(linear)

    def __call__(self, *args):
        return self._usual(*args)


class Counting(Here):
    """Takes as many seconds as there are calls of linear layers."""

    def begun(self, part, example):
        return Counted(super().begun(part, example), sum(isinstance(one, nn.Linear) for one in part.modules()))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right, self.end = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        return self.end(self.left(x) + torch.relu(self.right(x)))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(on_engine, "PAUSE_S", 0.0)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return trace(Branches().eval(), torch.randn(1, 4))


@pytest.mark.parametrize("make", [Here, lambda: get("torch"), lambda: get("onnxruntime")])
def test_later_parts_give_what_the_whole_gives(make):
    example = torch.randn(1, 4)
    module = Branches().eval()
    traced = trace(module, example)
    parts = LaterParts(make(), traced, example)
    with torch.inference_mode():
        for first in range(len(traced.layers)):
            part, arguments = parts.part_from(first)
            torch.testing.assert_close(part(*arguments)[0], module(example))
            assert part.compute_s > 0


def test_times_behind_each_place_are_those_of_the_part(network):
    layers, whole = time_later_parts(LaterParts(Counting(), network, torch.randn(1, 4)), budget_s=60)
    assert whole.value == 4
    for first, layer in enumerate(network.layers):
        behind = sum(layers[one.name].value for one in network.layers[first:])
        assert behind == sum(one.name in {"stem", "left", "right", "end"} for one in network.layers[first:]), layer.name


def test_a_spent_budget_leaves_fewer_places_and_the_same_sum():
    torch.manual_seed(0)
    module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(40))).eval()
    traced = trace(module, torch.randn(1, 4))
    parts = LaterParts(Counting(), traced, torch.randn(1, 4))
    parts.alone_s = dict.fromkeys(parts.alone_s, 1.0)
    layers, whole = time_later_parts(parts, budget_s=1e-9)
    assert whole.value == sum(found.value for found in layers.values()) == 40
    assert set(layers) == {layer.name for layer in traced.layers}
    assert all(found.value == pytest.approx(1.0) for found in layers.values())


def test_a_layer_that_works_in_place_spoils_no_later_part():
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.act, self.last = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4)

        def forward(self, x):
            return self.last(self.act(self.first(x)))

    torch.manual_seed(0)
    module, example = InPlace().eval(), torch.randn(1, 4)
    parts = LaterParts(Here(), trace(module, example), example)
    with torch.inference_mode():
        for first in (1, 1, 2):
            part, arguments = parts.part_from(first)
            assert torch.equal(part(*arguments)[0], module(example))
            assert torch.equal(part(*arguments)[0], module(example))


def test_the_profile_says_what_computed(network):
    found = time_on(profile_network(Branches().eval(), torch.randn(1, 4)), network, torch.randn(1, 4), Counting())
    assert sum(layer.t_local_s for layer in found.layers) == 4
    assert found.timing.engine == "torch:here"
    assert found.timing.device == "cpu"
    assert found.timing.whole_s == 4
