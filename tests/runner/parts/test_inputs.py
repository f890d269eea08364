"""Networks with inputs of any structure and dtype: named, traced, cut at random, and equal to the whole to the bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import measurement
import runner
from lmos_opt import InputError
from measurement.profiling import profile_traced
from measurement.tracing import TracedNetwork, trace_network
from measurement.tracing.calls import call
from runner.parts.network import example_of
from runner.parts.split import split_module, split_traced
from tests.runner.input_networks import NETWORKS

CUTS = 6


@cache
def traced(name: str) -> tuple[nn.Module, Any, TracedNetwork]:
    """A network, its example, and its graph; made once."""
    torch.manual_seed(0)
    make: Callable[[], tuple[nn.Module, Any]] = NETWORKS[name]
    module, example = make()
    module.eval()
    return module, example, trace_network(module, example)


def down_closed(found: TracedNetwork, drawn: random.Random) -> list[str]:
    """A set of layers that holds whatever its layers read."""
    share, edge = drawn.random(), set(found.input_tensors)
    for layer in found.layers:
        if edge.issuperset(layer.inputs) and drawn.random() < share**0.25:
            edge.add(layer.name)
    return [layer.name for layer in found.layers if layer.name in edge]


def same(a: Any, b: Any) -> bool:
    """Whether two outputs are equal to the bit."""
    left, right = tree_leaves(a), tree_leaves(b)
    return len(left) == len(right) and all(
        torch.equal(x, y) if isinstance(x, Tensor) else x == y for x, y in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_every_cut_gives_what_the_whole_network_gives(name):
    module, example, found = traced(name)
    drawn = random.Random(name)
    with torch.inference_mode():
        expected = call(module, example)
        for _ in range(CUTS):
            head, tail = split_traced(found, down_closed(found, drawn))
            assert same(tail(call(head, example)), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_profile_says_how_to_call_the_network(name):
    module, _, found = traced(name)
    profile = profile_traced(found)
    assert profile.inputs == {key: spec.shape for key, spec in found.input_tensors.items()}
    read = {source for layer in profile.layers for source in layer.inputs}
    assert read <= {*profile.inputs, *(layer.name for layer in profile.layers)}
    with torch.inference_mode():
        call(module, example_of(type(profile).from_dict(profile.to_dict())))


def test_inputs_are_named_by_parameter_and_key():
    assert traced("bert")[2].input_tensors.keys() == {"input.ids", "input.mask"}
    assert traced("nested")[2].input_tensors.keys() == {"input.x.a", "input.x.rest.0", "input.x.rest.1.0", "input.scale"}
    assert traced("gru")[2].input_tensors.keys() == {"input"}


def test_a_call_may_be_spelled_otherwise_and_not_be_another():
    module, (frames, lengths), found = traced("conformer")
    head, tail = split_traced(found, [])
    with torch.inference_mode():
        expected = module(frames, lengths)
        assert same(tail(head(frames, lengths=lengths)), expected)
        assert same(tail(head(lengths=lengths, frames=frames)), expected)
        with pytest.raises(InputError, match="cannot be called with the example: missing a required argument: 'lengths'"):
            head(frames)
        with pytest.raises(InputError, match=r"input\.lengths: is not as in the example"):
            head(frames, [lengths])


def test_an_input_crosses_where_a_server_layer_reads_it_and_only_then():
    _, example, found = traced("clip")
    names = [layer.name for layer in found.layers]
    readers = {key: [layer.name for layer in found.layers if key in layer.inputs] for key in found.input_tensors}
    assert {len(set(readers["input.ids"]) & set(readers["input.picture"]))} == {0}
    with torch.inference_mode():
        assert {"input.ids", "input.picture"} == set(call(split_traced(found, [])[0], example))
        before_text = names[: min(names.index(layer) for layer in readers["input.ids"])]
        if before_text:
            assert "input.picture" not in call(split_traced(found, before_text)[0], example)
        assert not set(call(split_traced(found, names[:-1])[0], example)) & set(found.input_tensors)


class Colliding(nn.Module):
    """Has a part that is called as an input would be."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.ModuleDict({"a": nn.Linear(4, 4)})

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """One product and one sum."""
        return self.input["a"](a) + b


def test_a_layer_never_has_the_name_of_an_input():
    example = (torch.rand(2, 4), torch.rand(2, 4))
    found = trace_network(Colliding().eval(), example)
    assert [layer.name for layer in found.layers] == ["input.a_1", "add"]
    head, tail = split_module(Colliding().eval(), ["input.a_1"], example)
    assert set(head(*example)) == {"input.a_1", "input.b"}
    assert tail(head(*example)).shape == (2, 4)


@pytest.mark.parametrize(
    ("example", "complaint"),
    [
        ([torch.rand(2)], "takes a tensor, a tuple of arguments or a dictionary"),
        ((torch.rand(2, 4),), "cannot be called with the example: missing a required argument: 'b'"),
        ({"a": torch.rand(2, 4), "c": torch.rand(2, 4)}, "cannot be called with the example: missing a required argument: 'b'"),
        ((1, 2), "takes an example that holds a tensor"),
        ((torch.rand(2, 4), object()), r"input\.b is a value of type object; expected tensors, lists"),
        ((torch.rand(2, 4), {1: torch.rand(2, 4)}), r"input\.b is a dictionary with keys that are no text"),
        ((torch.rand(2, 4), torch.eye(4).to_sparse()), r"takes a tensor as input\.b whose numbers lie side by side, got one"),
        ((torch.rand(2, 4), torch.rand(3, 5)), r"fails on inputs of shapes \[2, 4\], \[3, 5\]"),
    ],
)  # fmt: skip
def test_examples_that_cannot_be_are_refused(example, complaint):
    with pytest.raises(InputError, match=complaint):
        trace_network(Colliding().eval(), example)


def test_one_tracing_gives_profile_and_every_cut():
    module, example, _ = traced("unet")
    network = measurement.trace(module, example)
    profile = network.profile(name="mine")
    assert (profile.name, profile.inputs) == ("mine", {"input.sample": (1, 3, 8, 8), "input.timestep": (1,)})
    with torch.inference_mode():
        for n in range(len(profile.layers) + 1):
            head, tail = runner.split(network, [layer.name for layer in profile.layers[:n]])
            assert same(tail(call(head, example)), call(module, example))
