"""One half of a graph: what it receives and computes, and where it works on copies."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from measurement.tracing import TracedNetwork, trace_network
from runner.parts.halves import Half, own_copy, without_numbers


class InPlace(nn.Module):
    """A sum that is changed in place, and a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        torch.relu_(y)
        left, right = torch.chunk(y, 2, dim=1)
        return left - right


IMAGE = torch.tensor([[1.0, -2.0, 3.0, -4.0]])


def traced() -> TracedNetwork:
    torch.manual_seed(0)
    return trace_network(InPlace().eval(), IMAGE)


def test_a_half_computes_what_it_is_told_to() -> None:
    network = traced()
    image, *rest = network.graph_module.graph.nodes
    steps = [node for node in rest if node.op.startswith("call_")]
    half = Half(network, [])
    half.receive(image, ["image"])
    for node in steps:
        half.compute(node)
    (result,) = half.returns(steps[-1])(IMAGE)
    assert torch.equal(result, network.graph_module(IMAGE))


def test_what_was_received_is_not_changed_in_place() -> None:
    network = traced()
    fc, relu = [node for node in network.graph_module.graph.nodes if node.op.startswith("call_")][:2]
    half = Half(network, [])
    half.receive(fc, ["fc"])
    half.compute(relu)
    received = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    (result,) = half.returns(relu)(received)
    assert result.tolist() == [[1, 0, 1, 0]]
    assert received.tolist() == [[1, -1, 1, -1]]


def test_what_crosses_is_not_changed_in_place_afterwards() -> None:
    network = traced()
    image, fc, relu = list(network.graph_module.graph.nodes)[:3]
    half = Half(network, [fc])
    half.receive(image, ["image"])
    half.compute(fc)
    half.compute(relu)
    crossing, changed = half.returns(fc, relu)(IMAGE)
    assert crossing.min() < 0 <= changed.min()


def test_a_copy_has_the_strides_of_the_original() -> None:
    original = torch.arange(6.0).reshape(2, 3).t()
    copy = own_copy(original)
    assert copy.stride() == original.stride() == (1, 3)
    assert torch.equal(copy, original)
    assert copy.data_ptr() != original.data_ptr()


def test_a_half_without_numbers_turns_shapes_into_shapes_and_leaves_the_network_its_weights() -> None:
    network = traced()
    image, fc = list(network.graph_module.graph.nodes)[:2]
    half = Half(network, [])
    half.receive(image, ["image"])
    half.compute(fc)
    (result,) = without_numbers(half.returns(fc))(torch.empty(1, 4, device="meta"))
    assert (result.shape, result.device.type) == ((1, 4), "meta")
    assert network.graph_module.get_submodule("fc").weight.device.type == "cpu"
