"""Layers, names and arcs of traced networks, and what tracing must not do to them."""

from __future__ import annotations

import random
import warnings
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model

from lmos_opt import InputError
from measurement import UntraceableError, trace_network
from measurement.tracing.grouping import snake_case


def built(name):
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        return get_model(name, weights=None)


def image(size=224):
    return torch.empty(1, 3, size, size, device="meta")


def arcs(traced):
    return {layer.name: layer.inputs for layer in traced.layers}


@cache
def papers(name):
    return trace_network(built(name), image(), "paper")


@pytest.mark.parametrize(("name", "count"), [("alexnet", 21), ("vgg13", 32), ("mobilenet_v2", 21)])
def test_the_papers_layer_counts(name, count):
    traced = papers(name)
    names = [layer.name for layer in traced.layers]
    assert len(names) == count
    assert [layer.inputs for layer in traced.layers] == [(before,) for before in ("input", *names[:-1])]
    assert traced.structure == trace_network(built(name), image()).structure


def test_functional_operations_belong_to_the_papers_layer_before_them():
    last = {layer.name: layer for layer in papers("mobilenet_v2").layers}["features.18"]
    assert last.outputs[0].shape == (1, 1280)
    assert last.kind == "conv2d_norm_activation"
    assert papers("vgg13").layers[24].outputs[0].shape == (1, 512 * 7 * 7)


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "vgg16_bn"])
def test_granularity_paper_is_refused_elsewhere(name):
    with pytest.raises(InputError, match=r"alexnet, vgg13, vgg16, vgg19 and mobilenet_v2"):
        trace_network(built(name), image(64), "paper")


def test_names_kinds_and_arcs_of_a_residual_network():
    traced = trace_network(built("resnet18"), image())
    found = arcs(traced)
    kinds = {layer.name: layer.kind for layer in traced.layers}
    assert found["conv1"] == ("input",)
    assert found["layer1.0.add"] == ("layer1.0.bn2", "maxpool")
    assert found["layer1.0.relu_1"] == ("layer1.0.add",)
    assert found["layer2.0.add"] == ("layer2.0.bn2", "layer2.0.downsample.1")
    assert {kinds[n] for n in ("conv1", "bn1", "relu", "maxpool", "avgpool", "flatten", "fc", "layer1.0.add")} == {
        "conv2d", "batch_norm2d", "relu", "max_pool2d", "adaptive_avg_pool2d", "flatten", "linear", "add"}  # fmt: skip
    assert len(found) == len(traced.layers) == 69


def test_tuples_of_several_tensors_have_items_as_layers():
    found = arcs(trace_network(built("shufflenet_v2_x0_5"), image()))
    chunk = next(name for name in found if name.endswith("chunk"))
    scope = chunk.removesuffix("chunk")
    assert found[f"{scope}getitem"] == found[f"{scope}getitem_1"] == (chunk,)


def test_vision_transformer_folds_attention_and_reads_parameters_only_once():
    traced = trace_network(built("vit_b_16"), image())
    by_name = {layer.name: layer for layer in traced.layers}
    attention = by_name["encoder.layers.encoder_layer_0.self_attention"]
    assert attention.kind == "multihead_attention"
    assert attention.inputs == ("encoder.layers.encoder_layer_0.ln_1",)
    assert [spec.shape for spec in attention.outputs] == [(1, 197, 768)]
    assert by_name["expand"].inputs == ()
    assert by_name["cat"].inputs == ("expand", "permute")


class InPlaceAfterBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.act = nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, x):
        a = self.lin(x)
        before = a * 2
        self.act(a)
        return a + before


def test_reader_of_a_changed_tensor_depends_on_the_change():
    found = arcs(trace_network(InPlaceAfterBranch(), torch.randn(2, 4)))
    assert found == {"lin": ("input",), "mul": ("lin",), "act": ("lin",), "add": ("act", "mul")}


def test_numbers_read_from_a_tensor_are_a_dependency_and_sizes_are_none():
    class Net(nn.Module):
        def forward(self, x):
            total = x.sum()
            a = x * 2
            return (a * total.item()).view(total.dim() + x.size(0), -1)

    assert arcs(trace_network(Net(), torch.randn(2, 4)))["mul_1"] == ("mul", "sum")


class Aliased(nn.Module):
    def forward(self, x):
        x = x * 1
        y = x
        x += 1
        return y * x


class StaleView(nn.Module):
    def forward(self, x):
        y = x * 2
        view = y.view(-1)
        y.relu_()
        return view + 1


class ShapeControl(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        for _ in range(x.size(1) - 2):
            x = self.lin(x)
        x = self.norm(x)
        x[:, 0] = 3
        return F.relu(x, inplace=True)


@pytest.mark.parametrize("module", [Aliased, StaleView, ShapeControl])
def test_what_fx_gets_wrong_or_cannot_follow_is_exported(module):
    torch.manual_seed(0)
    traced = trace_network(module(), torch.randn(2, 4))
    assert traced.shape_range == {"input": ((2, None), (4, 4))}
    assert not any(facts.mutates for facts in traced.facts.values())


def test_wrong_aliasing_is_seen_on_an_example_of_zeros():
    assert trace_network(Aliased(), torch.zeros(2, 4)).shape_range is not None


def test_exported_layers_are_named_like_traced_ones():
    traced = trace_network(ShapeControl(), torch.randn(2, 4))
    assert [(layer.name, layer.kind) for layer in traced.layers[:3]] == [
        ("lin", "linear"), ("lin_1", "linear"), ("norm", "batch_norm1d")]  # fmt: skip


def test_optional_arguments_keep_their_defaults():
    class Net(nn.Module):
        def forward(self, x, mask=None, scale=2):
            if mask is not None:
                x = x * mask
            return (x * scale).relu()

    assert list(arcs(trace_network(Net(), torch.randn(2, 3)))) == ["mul", "relu"]
    assert trace_network(Net(), torch.randn(2, 3)).shape_range is None


def test_no_layer_is_called_input():
    net = nn.Sequential()
    net.add_module("input", nn.Linear(3, 3))
    assert list(arcs(trace_network(net, torch.randn(2, 3)))) == ["input_1"]


def test_tracing_leaves_module_and_example_as_they_were():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.drop, self.norm = nn.ReLU(inplace=True), nn.Dropout(0.5), nn.BatchNorm1d(4)
            self.last = None

        def forward(self, x):
            self.last = self.act(x)
            return self.norm(self.drop(self.last)) + torch.tensor([1.0, 2.0, 3.0, 4.0])

    net, x = Net(), torch.randn(2, 4)
    net.drop.eval()
    example, state, attributes = x.clone(), {k: v.clone() for k, v in net.state_dict().items()}, set(vars(net))
    trace_network(net, x)
    assert torch.equal(x, example)
    assert net.last is None
    assert set(vars(net)) == attributes
    assert (net.training, net.act.training, net.drop.training, net.norm.training) == (True, True, False, True)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_state_kept_between_calls_is_refused():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x):
            self.seen += 1
            return x * self.seen

    with pytest.raises(UntraceableError, match="changes its own parameters or buffers"):
        trace_network(Net(), torch.randn(2))


@pytest.mark.parametrize("draw", [lambda: torch.rand(2), lambda: int(torch.rand(()) < 0.3), lambda: int(random.random() < 0.3),
                                  lambda: int(np.random.rand() < 0.5)])  # noqa: NPY002  # fmt: skip
def test_randomness_is_named_as_the_reason(draw):
    class Net(nn.Module):
        def forward(self, x):
            return x + draw()

    torch.manual_seed(0)  # the first three numbers of each are too large: only further runs tell
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - as networks do
    with pytest.raises(UntraceableError, match="not deterministic"):
        trace_network(Net(), torch.randn(2))


def test_control_flow_over_numbers_is_refused_with_every_reason():
    class Net(nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x - 1

    with pytest.raises(UntraceableError) as caught:
        trace_network(Net(), torch.randn(2))
    assert caught.value.reasons[0].startswith("it chooses what to compute by the numbers in its tensors")
    assert [reason.split(":")[0] for reason in caught.value.reasons[1:]] == [
        "torch.fx", "torch.export for any batch", "torch.export"]  # fmt: skip
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("example", [[torch.ones(2, 4)], None, 3])
def test_an_example_is_a_tensor_or_arguments(example):
    with pytest.raises(InputError, match="takes a tensor, a tuple of arguments or a dictionary"):
        trace_network(nn.Linear(4, 4), example)


def test_an_example_that_does_not_fit_is_said_to():
    with pytest.raises(InputError, match=r"fails on an input of shape \[2, 3\]"):
        trace_network(nn.Linear(4, 4), torch.randn(2, 3))


def test_works_inside_inference_mode():
    with torch.inference_mode():
        traced = trace_network(InPlaceAfterBranch(), torch.randn(2, 4))
    assert len(traced.layers) == 4


@pytest.mark.parametrize(("name", "expected"), [
    ("Conv2d", "conv2d"), ("ReLU", "relu"), ("ReLU6", "relu6"), ("LeakyReLU", "leaky_relu"), ("PReLU", "prelu"),
    ("SiLU", "silu"), ("GELU", "gelu"), ("MultiheadAttention", "multihead_attention"), ("LSTM", "lstm"),
    ("AdaptiveAvgPool2d", "adaptive_avg_pool2d"), ("InvertedResidual", "inverted_residual"),
])  # fmt: skip
def test_kinds_in_snake_case(name, expected):
    assert snake_case(name) == expected
