"""Profiles of networks: bytes, shared weights, multi-tensor layers, files."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from lmos_opt import Instance, NetworkProfile
from lmos_opt.listing.splits import Splits
from lmos_opt.split import Split, all_splits
from measurement import profile_network


def test_work_and_bytes_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    profile = profile_network(net, torch.randn(1, 3, 8, 8), name="tiny")
    conv, norm, relu, flat, lin = profile.layers
    assert (conv.macs, conv.params, conv.weight_bytes) == (4 * 36 * 27, 4 * 27 + 4, 4 * (4 * 27 + 4))
    assert (norm.macs, norm.params, norm.weight_bytes) == (0, 8, 4 * 16 + 8)  # two vectors more, and an int64
    assert (relu.weight_bytes, relu.output_shape, relu.output_bytes) == (0, (1, 4, 6, 6), 4 * 144)
    assert flat.output_shape == (1, 144)
    assert (lin.macs, lin.inputs) == (720, (flat.name,))
    assert (profile.name, profile.input.bytes, profile.granularity) == ("tiny", 4 * 192, "module")


def test_shared_weights_count_once_and_unused_ones_never():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.unused = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(100, 100)
            self.b.weight = self.a.weight
            self.scale = nn.Parameter(torch.ones(4))
            self.register_buffer("shift", torch.ones(4))

        def forward(self, x):
            return self.b(self.a(self.a(x))) * self.scale + self.shift

    profile = profile_network(Net(), torch.randn(1, 4))
    assert {layer.name: layer.params for layer in profile.layers} == {"a": 20, "a_1": 0, "b": 4, "mul": 4, "add": 0}
    assert [layer.weight_bytes for layer in profile.layers] == [80, 0, 16, 16, 16]
    assert [layer.macs for layer in profile.layers] == [16, 16, 16, 0, 0]


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_a_place_holds_one_copy_of_what_its_layers_share_with_an_earlier_place(memory_model):
    linear = nn.Linear(100, 100, bias=False)
    profile = profile_network(nn.Sequential(linear, linear, linear, nn.ReLU()), torch.randn(1, 100))
    first, second, third, relu = (layer.name for layer in profile.layers)
    shared = [[(*one.layers, one.bytes) for one in layer.shared] for layer in profile.layers]
    assert shared == [[], [(first, 40_000)], [(second, 40_000)], []]
    instance = Instance.from_profile(profile, edge="rpi4", server="i7-8700", bandwidth="1Mbps")
    for places in ([first], [second, third, relu]), ([first, second], [third, relu]), ([], [first, second, third, relu]):
        assert Split.at(instance, places, memory_model).memory_at(2) // 40_000 == 1


@pytest.mark.parametrize("memory_model", ["sum", "peak"])
def test_weights_of_parallel_branches_are_held_once_at_each_place(memory_model):
    """Three branches of one body, one of them twice through it: 64 B wherever one of its layers runs, in each split."""
    class Triplets(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4, bias=False)

        def forward(self, one, other, third):
            return self.body(self.body(one)) - self.body(other) * self.body(third)

    profile = profile_network(Triplets(), (torch.randn(1, 4), torch.randn(1, 4), torch.randn(1, 4)))
    bodies = [layer.name for layer in profile.layers if layer.name.startswith("body")]
    assert [layer.weight_bytes for layer in profile.layers if layer.name in bodies] == [64, 0, 0, 0]
    instance = Instance.from_profile(profile, path="rpi4 > 1Mbps > rpi4 > 1Mbps > i7-8700")
    alone = instance.replace(layers=[layer.model_dump() | {"weight_bytes": 0, "shared": []} for layer in instance.layers])
    listed, splits = Splits.of(instance, memory_model), [*all_splits(instance, memory_model)]
    for p in (1, 2, 3):
        without = [split.memory_at(p) for split in all_splits(alone, memory_model)]
        expected = [n_bytes + 64 * (not {*bodies}.isdisjoint(split.places[p - 1]))
                    for n_bytes, split in zip(without, splits, strict=True)]  # fmt: skip
        assert [split.memory_at(p) for split in splits] == expected
        assert sorted(listed.memory(p).values) == sorted(expected)
    assert len({frozenset(bodies) & {*split.places[1]} for split in splits}) > 8


def test_layer_of_several_tensors():
    class Net(nn.Module):
        def forward(self, x):
            a, b = x.split([1, 3], 1)
            return a * b

    split = profile_network(Net(), torch.randn(2, 4)).layers[0]
    assert [spec.shape for spec in split.outputs] == [(2, 1), (2, 3)]
    assert (split.output_shape, split.output_bytes) == ((2, 1), 4 * 8)


def test_real_and_meta_parameters_give_one_profile(tmp_path):
    real = profile_network(get_model("mobilenet_v3_small", weights=None), torch.randn(1, 3, 64, 64))
    with torch.device("meta"):
        meta = profile_network(get_model("mobilenet_v3_small", weights=None), torch.empty(1, 3, 64, 64))
    assert meta == real
    real.save(tmp_path / "p.json")
    assert NetworkProfile.load(tmp_path / "p.json") == real
    assert len(Instance.from_profile(real).layers) == len(real.layers)


def test_profiling_takes_as_much_for_each_layer_of_a_deeper_network():
    """By the number of calls of Python's functions: a busy machine changes no such number."""
    def calls(blocks):
        found = []
        module = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(blocks)))
        sys.setprofile(lambda frame, event, argument: found.append(event))
        try:
            profile_network(module, torch.randn(1, 8))
        finally:
            sys.setprofile(None)
        return found.count("call")

    calls(1)  # what the first network alone takes
    assert calls(40) < 5 * calls(10)
