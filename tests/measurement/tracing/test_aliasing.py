"""What operations do to memory: readers of a changed tensor are rewired, and what no rewiring can express is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from measurement.tracing.aliasing import AliasingError, Slot, observe, reads_only_metadata, tensor_spec


class Calls(nn.Module):
    """A network that is one function, with a buffer of its own."""

    def __init__(self, function: Callable[[Calls, Tensor], object]) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


def graph(function: Callable[[Calls, Tensor], object]) -> fx.GraphModule:
    return fx.symbolic_trace(Calls(function))


def refused(function: Callable[[Calls, Tensor], object]) -> str:
    with pytest.raises(AliasingError) as caught:
        observe(graph(function), torch.arange(4.0))
    return str(caught.value)


def test_a_reader_of_a_changed_tensor_reads_from_what_changed_it():
    def changed(self: Calls, x: Tensor) -> Tensor:
        y = x + 1
        y.mul_(2)
        return y + 3

    traced = graph(changed)
    found = observe(traced, torch.zeros(2))
    add, mul, last = (node for node in traced.graph.nodes if node.op.startswith("call_"))
    assert last.args == (mul, 3)
    assert found.facts[mul].mutates == (add,)
    assert torch.equal(found.output, torch.full((2,), 5.0))


def test_a_view_shares_the_memory_of_what_it_looks_at():
    traced = graph(lambda self, x: (x + 1).view(2, 2))
    facts = observe(traced, torch.zeros(4)).facts
    add, view = (node for node in traced.graph.nodes if node.op.startswith("call_"))
    assert facts[view].shares == (add,)
    assert facts[add].shares == ()


def test_the_networks_own_state_must_not_change():
    def counts(self: Calls, x: Tensor) -> Tensor:
        self.count.add_(x[:1])
        return x + self.count

    assert refused(counts).startswith("add_ changes the network's own state")


def test_a_view_that_is_read_after_its_base_changed_is_refused():
    def stale(self: Calls, x: Tensor) -> Tensor:
        y = x + 1
        half = y[:2]
        y.mul_(2)
        return half + 1

    assert "whose memory mul_ has changed in between" in refused(stale)


def test_one_of_several_overlapping_tensors_must_not_change():
    traced = fx.Graph()
    y = traced.call_function(operator.add, (traced.placeholder("x"), 1))
    first, second = (traced.call_function(operator.getitem, (y, slice(*ends))) for ends in ((0, 3), (1, 4)))
    traced.call_function(torch._foreach_add_, ([first, second], 1.0))
    traced.output(y)
    with pytest.raises(AliasingError, match="changes one of several overlapping tensors"):
        observe(fx.GraphModule(nn.Module(), traced), torch.arange(4.0))


def test_a_tensor_inside_a_tuple_must_not_change():
    traced = fx.Graph()
    parts = traced.call_function(torch.split, (traced.call_function(operator.add, (traced.placeholder("x"), 1)), 4))
    traced.call_function(torch._foreach_add_, (parts, 1.0))
    traced.output(parts)
    with pytest.raises(AliasingError, match="changes a tensor inside a tuple"):
        observe(fx.GraphModule(nn.Module(), traced), torch.arange(4.0))


def test_a_value_is_kept_without_its_tensors():
    traced = graph(lambda self, x: torch.split(x, 2))
    facts = observe(traced, torch.zeros(4)).facts
    (split,) = (node for node in traced.graph.nodes if node.target is torch.split)
    assert facts[split].value == (Slot(0), Slot(1))
    assert [spec.shape for spec in facts[split].tensors] == [(2,), (2,)]


def test_work_is_counted_where_it_is_done():
    traced = graph(lambda self, x: torch.outer(x, x) @ torch.outer(x, x))
    facts = observe(traced, torch.ones(4)).facts
    assert [facts[node].macs for node in traced.graph.nodes if node.target is operator.matmul] == [64]


def test_a_dtype_that_cannot_be_sent_is_refused():
    assert tensor_spec(torch.zeros(2, 3)).shape == (2, 3)
    with pytest.raises(AliasingError, match="has the dtype uint16, which cannot be sent"):
        tensor_spec(torch.zeros(2, dtype=torch.uint16))


def test_sizes_are_metadata_and_items_are_numbers():
    traced = graph(lambda self, x: (x.size(0), x.item()))
    size, item = (node for node in traced.graph.nodes if node.op == "call_method")
    assert reads_only_metadata(size)
    assert not reads_only_metadata(item)
