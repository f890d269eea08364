"""ultralytics' YOLO: split at the layers of backbone and neck; its head, and what drops overlapping boxes, are one layer each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torchvision.ops import batched_nms, box_convert

import measurement
import runner

PICTURE = torch.rand(1, 3, 64, 64)


class Surest(nn.Module):
    """Boxes that do not overlap, as many as there are."""

    def forward(self, found: Tensor) -> list[dict[str, Tensor]]:
        scores, labels = found[0, 4:].max(0)
        boxes = box_convert(found[0, :4].T, "cxcywh", "xyxy")
        kept = batched_nms(boxes, scores, labels, 0.5)
        return [{"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}]


class Detector(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.surest = network, Surest()

    def forward(self, pictures: Tensor) -> list[dict[str, Tensor]]:
        return self.surest(self.network(pictures)[0])


@pytest.fixture(scope="module")
def yolo() -> Iterator[nn.Module]:
    """The package puts functions of its own in place of others', which no test after this one may meet."""
    replaced = [(Image, "open", Image.open), (torch, "load", torch.load), (torch, "save", torch.save)]
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    torch.manual_seed(0)
    yield tasks.DetectionModel("yolo11n.yaml", verbose=False).eval()
    for owner, name, function in replaced:
        setattr(owner, name, function)


def test_backbone_and_neck_are_layers_and_the_head_is_one(yolo):
    traced = measurement.trace(yolo, PICTURE)
    assert list(traced.opaque) == ["model.23"]
    assert len(traced.layers) > 200
    check(yolo, traced)


def test_the_number_of_boxes_may_vary_with_the_picture(yolo):
    network = Detector(yolo).eval()
    traced = measurement.trace(network, PICTURE, opaque=["surest"])
    assert set(traced.opaque) == {"network.model.23", "surest"}
    check(network, traced)


@torch.inference_mode()
def check(network: nn.Module, traced: measurement.tracing.TracedNetwork) -> None:
    names = [layer.name for layer in traced.layers]
    other = torch.rand(1, 3, 64, 64)
    for k in (0, len(names) // 3, len(names) - 1, len(names)):
        head, tail = runner.split(traced, names[:k])
        pairs = zip(tree_leaves(tail(head(other))), tree_leaves(network(other)), strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
