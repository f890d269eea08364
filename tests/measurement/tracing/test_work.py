"""What operations do, beside counts made by hand."""

import pytest
import torch
from torch import nn

from lmos_opt.profile import Work
from lmos_opt.sources import load_source
from measurement.profiling import profile_network
from measurement.tracing.work import kind_of, together


def work_of(module: nn.Module, *shape: int) -> list[tuple[str, int, int, int]]:
    profile = profile_network(module, torch.zeros(1, *shape))
    return [(w.kind, w.operations, w.macs, w.bytes) for layer in profile.layers for w in layer.work or ()]


IMAGE = 4 * 8 * 6 * 6
"""Bytes of 8 channels of 6x6."""


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(8, 8, 3, padding=1, bias=False), ("conv2d", 1, 8 * 8 * 9 * 36, 2 * IMAGE + 4 * 8 * 8 * 9)),
        (nn.Conv2d(8, 8, 1), ("conv2d_1x1", 1, 8 * 8 * 36, 2 * IMAGE + 4 * 8 * 8 + 4 * 8)),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), ("conv2d_depthwise", 1, 8 * 9 * 36, 2 * IMAGE + 4 * 8 * 9)),
        (nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), ("conv2d_grouped", 1, 8 * 4 * 9 * 36, 2 * IMAGE + 4 * 8 * 4 * 9)),
        (nn.ConvTranspose2d(8, 8, 1, bias=False), ("conv2d_transposed", 1, 8 * 8 * 36, 2 * IMAGE + 4 * 8 * 8)),
        (nn.BatchNorm2d(8), ("norm", 1, 0, 2 * IMAGE + 4 * 4 * 8)),
        (nn.ReLU(), ("elementwise", 1, 0, 2 * IMAGE)),
        (nn.ReLU(inplace=True), ("elementwise", 1, 0, 2 * IMAGE)),
        (nn.Sigmoid(), ("transcendental", 1, 0, 2 * IMAGE)),
        (nn.AdaptiveAvgPool2d(1), ("avg_pool", 1, 0, IMAGE + 4 * 8)),
        (nn.MaxPool2d(2), ("max_pool", 1, 0, IMAGE + (4 + 8) * 8 * 9)),  # the index of each maximum, too
        (nn.Flatten(), ("view", 1, 0, 0)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_one_operation(module, expected):
    assert work_of(module, 8, 6, 6) == [expected]


def test_a_tensor_read_twice_moves_once():
    class Twice(nn.Module):
        def forward(self, x):
            return x + x

    assert work_of(Twice(), 8, 6, 6) == [("elementwise", 1, 0, 2 * IMAGE)]


def test_what_does_nothing_has_no_work():
    assert profile_network(nn.Sequential(nn.Dropout(), nn.ReLU()), torch.zeros(1, 8)).layers[0].work == ()


def test_kinds_come_together_in_order():
    one, two = Work(kind="a", operations=1, macs=2, bytes=3), Work(kind="b", operations=1, macs=0, bytes=5)
    assert together([one, two, one]) == (Work(kind="a", operations=2, macs=4, bytes=6), two)


@pytest.mark.parametrize("op", ["aten.fancy", "aten.relu_", "aten.add"])
def test_whatever_has_no_other_kind_is_elementwise(op):
    assert kind_of(op, ((1, 2),)) == "elementwise"


@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16"])
def test_both_granularities_do_the_same_work(name):
    paper, module = (together(w for layer in load_source(source).layers for w in layer.work or ())
                     for source in (name, f"{name}.module"))  # fmt: skip
    assert paper == module
    assert sum(w.macs for w in paper) == load_source(name).total_macs
