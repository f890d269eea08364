"""Nodes to layers: what belongs together, what it is called, what it reads and hands on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lmos_opt import InputError
from measurement.errors import UntraceableError
from measurement.tracing.aliasing import observe
from measurement.tracing.capture import capture_with_fx
from measurement.tracing.grouping import TracedLayer, check_names, module_layers, paper_layers


class Branched(nn.Module):
    """A layer that is used twice, a tuple, sizes, and an operation between modules."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.input = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        left, right = torch.chunk(y, 2, dim=1)
        z = torch.cat([self.input(left), right], dim=1).view(x.size(0), 4)
        return self.fc(z) + y


def layers(module: nn.Module, example: Tensor) -> tuple[TracedLayer, ...]:
    captured = capture_with_fx(module.eval())
    return module_layers(captured, observe(captured, example).facts)


def test_each_call_is_a_layer_with_a_name_of_its_own_and_its_arcs():
    found = {layer.name: layer for layer in layers(Branched(), torch.zeros(1, 4))}
    assert {name: layer.inputs for name, layer in found.items()} == {
        "fc": ("input",), "chunk": ("fc",), "getitem": ("chunk",), "getitem_1": ("chunk",), "input_1": ("getitem",),
        "cat": ("input_1", "getitem_1"), "view": ("cat",), "fc_1": ("view",), "add": ("fc_1", "fc"),
    }  # fmt: skip
    assert found["fc"].kind == "linear"
    assert [spec.shape for spec in found["chunk"].outputs] == [(1, 2), (1, 2)]


def test_sizes_make_no_arc():
    found = layers(Branched(), torch.zeros(1, 4))
    assert "input" not in next(layer for layer in found if layer.name == "view").inputs


def test_the_item_of_a_tuple_with_one_tensor_belongs_to_what_made_it():
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.parts(torch.split(x, 4, dim=1)[0])

    assert [layer.name for layer in layers(Recurrent(), torch.zeros(1, 4))] == ["split", "parts"]


@pytest.mark.parametrize("name", ["line\nbreak", " blank", "x" * 481])
def test_a_name_that_no_file_could_hold_is_refused(name):
    with pytest.raises(UntraceableError, match="rename the module"):
        check_names("net", [TracedLayer(name, "relu", (), (), (), ())])
    check_names("net", [TracedLayer("x" * 480, "relu", (), (), (), ())])


def test_only_the_papers_networks_have_the_papers_layers():
    captured = capture_with_fx(module := Branched().eval())
    with pytest.raises(InputError, match="net: has no granularity 'paper'"):
        paper_layers(module, captured, observe(captured, torch.zeros(1, 4)).facts, "net")
