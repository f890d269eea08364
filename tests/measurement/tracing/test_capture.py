"""Graphs of operations: by torch.fx, by torch.export, and a module of torch's own as one call."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch
from torch import Tensor, nn

from measurement.tracing.calls import call_of
from measurement.tracing.capture import (
    attribute,
    capture_batches_with_export,
    capture_whole_with_fx,
    capture_with_export,
    capture_with_fx,
    is_module_of_torch,
    quiet,
)


class Scaled(nn.Module):
    """A layer and two arguments that may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 2), nn.ReLU())

    def forward(self, x: Tensor, mask: Tensor | None = None, scale: float = 2.0) -> Tensor:
        x = x if mask is None else x * mask
        return self.layers(x) * scale


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return x + self.count


def test_fx_keeps_modules_of_torch_whole_and_arguments_at_their_defaults():
    module = Scaled().eval()
    captured = capture_with_fx(module)
    calls = [str(node.target) for node in captured.graph.nodes if node.op == "call_module"]
    assert calls == ["layers.0", "layers.1"]
    assert [node.name for node in captured.graph.nodes if node.op == "placeholder"] == ["x"]
    assert torch.equal(captured(torch.ones(1, 3)), module(torch.ones(1, 3)))
    assert captured.get_submodule("layers.0").weight is module.layers[0].weight


def test_a_module_of_torch_s_own_is_one_call():
    assert is_module_of_torch(nn.LSTM(2, 2))
    assert not is_module_of_torch(nn.Sequential(nn.ReLU()))
    assert not is_module_of_torch(Scaled())
    captured = capture_whole_with_fx(nn.ReLU6())
    assert [str(node.target) for node in captured.graph.nodes if node.op == "call_module"] == ["relu6"]
    assert torch.equal(captured(torch.tensor([-1.0, 7.0])), torch.tensor([0.0, 6.0]))


def test_a_network_that_changes_its_own_buffers_is_refused_by_export():
    with pytest.raises(ValueError, match=r"changes its own buffers \(count\) in eval mode"):
        capture_with_export(Counting().eval(), torch.ones(2))


def test_what_torchs_tracers_say_is_not_for_users(capsys, caplog):
    with warnings.catch_warnings(record=True) as told, quiet():
        warnings.warn("for developers", UserWarning, stacklevel=1)
        logging.getLogger("torch").warning("for developers")
        print("for developers", file=__import__("sys").stderr)
    assert told == []
    assert capsys.readouterr().err == ""


def test_what_stands_under_a_path():
    module = Scaled()
    assert attribute(module, "layers.0.bias") is module.layers[0].bias
    with pytest.raises(AttributeError):
        attribute(module, "layers.7")


class Unrolled(nn.Module):
    """Two inputs whose batches never meet, and a loop over a size, which torch.fx cannot follow."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        for k in range(x.shape[1]):
            x = x + k
        return x, y * 2


def test_a_graph_of_several_inputs_stands_for_any_batch_where_each_of_them_does():
    call, example = call_of(Unrolled(), (torch.rand(1, 2), torch.rand(1, 3)), "unrolled")
    graph = capture_batches_with_export(Unrolled(), *example, call=call)
    pair = torch.rand(5, 2), torch.rand(5, 3)
    assert all(map(torch.equal, graph(*pair), Unrolled()(*pair)))
