"""Multiply-accumulates by formula, against PyTorch's own counter and torchvision's published figures."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import get_model, get_model_weights, list_models

from lmos_opt.data import bundled, bundled_names
from lmos_opt.profile import NetworkProfile
from measurement import profile_network
from measurement.tracing.layer_work import FREE, MACS, macs

FAMILIES = [
    "vgg11", "resnet50", "googlenet", "squeezenet1_0", "densenet121", "mobilenet_v3_large", "shufflenet_v2_x0_5", "efficientnet_b0",
    "mnasnet0_5", "regnet_y_400mf", "vit_b_16", "convnext_tiny", "swin_t",
]  # fmt: skip
"""One network of each way to build one; all that are bundled are looked at as they are bundled."""
PUBLISHED = [name for name in bundled_names("profiles") if name in list_models(models) and name != "inception_v3"]
"""Classifiers; inception_v3's published parameters count a head that only training uses."""


def on_meta(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name.startswith("regnet"):  # computes its widths with tensors, so it cannot be born on meta
            return get_model(name, weights=None).to("meta")
        with torch.device("meta"):
            return get_model(name, weights=None)


@pytest.mark.parametrize("name", FAMILIES)
def test_published_work_and_parameters(name):
    size = get_model_weights(name).IMAGENET1K_V1.transforms.keywords["crop_size"]
    check(name, profile_network(on_meta(name), torch.empty(1, 3, size, size, device="meta")))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_work_and_parameters_are_those_of_bundled_profiles(name):
    check(name, NetworkProfile.load(bundled("profiles", name, "network")))


def check(name, profile):
    weights = next(iter(get_model_weights(name)))
    crop = getattr(weights.transforms, "keywords", {}).get("crop_size")
    sizes = {spec.shape[-1] for spec in profile.input_tensors.values()}
    assert profile.unknown_operations == ()
    assert profile.total_params == weights.meta["num_params"]
    if {crop} == sizes:  # published work is for the size of published pictures
        assert profile.total_macs / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.02)


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)
        self.down = nn.Conv2d(4, 8, 3, padding=1, dilation=2, stride=2, groups=4)
        self.line = nn.Conv1d(8, 6, 2)
        self.mix = nn.Linear(6, 5)

    def forward(self, x):
        y = self.down(self.up(x)).flatten(2)
        y = self.mix(self.line(y).transpose(1, 2))
        y = torch.baddbmm(torch.ones(1), y, y.transpose(1, 2)) @ y
        return torch.einsum("bij,bkj->bik", y, y)


def test_equal_to_torchs_own_counter():
    module, x = Mixed().eval(), torch.randn(2, 6, 7, 7)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    profile = profile_network(module, x)
    assert profile.total_macs == counter.get_total_flops() // 2 > 0
    assert profile.unknown_operations == ()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_equal_to_torchs_own_counter_on_classifiers(name):
    module, x = on_meta(name).eval(), torch.empty(2, 3, 96, 96, device="meta")
    with FlopCounterMode(display=False) as counter:
        module(x)
    assert profile_network(module, x).total_macs == counter.get_total_flops() // 2


def test_attention_counts_projections_and_both_products():
    length, width = 7, 16
    x = torch.randn(2, length, width)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(width, 4, batch_first=True)

        def forward(self, x):
            return self.attend(x, x, x, need_weights=False)[0]

    expected = 2 * length * 4 * width * width + 2 * 2 * length * length * width
    (layer,) = profile_network(Attention(), x).layers
    assert (layer.kind, layer.macs) == ("multihead_attention", expected)
    encoder = nn.Sequential(nn.TransformerEncoderLayer(width, 4, dim_feedforward=32, batch_first=True))
    assert profile_network(encoder, x).total_macs == expected + 2 * length * 2 * width * 32


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_count_every_step(cell, gates):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell(5, 6, num_layers=2, batch_first=True)

        def forward(self, x):
            return self.cell(x)[0]

    profile = profile_network(Net(), torch.randn(3, 4, 5))
    assert profile.total_macs == 3 * 4 * gates * 6 * ((5 + 6) + (6 + 6))


def test_operation_without_formula_is_reported():
    class Net(nn.Module):
        def forward(self, x):
            return torch.cdist(x, x).relu()

    profile = profile_network(Net(), torch.randn(2, 5, 3))
    assert [name for name in profile.unknown_operations if "dist" in name]
    assert macs("aten.not_an_operation", (), ()) is None


def test_no_operation_is_both_free_and_counted():
    assert not FREE & MACS.keys()


def test_in_place_variants_count_as_their_operation():
    assert macs("aten.relu_", ((2, 3),), (2, 3)) == 0
    assert macs("aten.addmm_", ((4,), (2, 3), (3, 4)), (2, 4)) == 24
