"""torchvision's detectors: what prepares pictures is one layer, the backbone and its neck are traced, the rest is one layer."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.ssd import SSD

from measurement.adapters import Adapted

_KINDS = (FCOS, GeneralizedRCNN, RetinaNet, SSD)
Sizes = list[tuple[int, int]]


class Detector(nn.Module):
    """Takes and returns what the detector does, in eval mode."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.prepare = Prepare(network.transform)
        self.backbone = network.backbone
        self.rest = Rest(network)
        self.training = network.training

    def forward(self, images: list[Tensor]) -> Any:
        """The boxes of each picture."""
        batch, sizes, originals = self.prepare(images)
        return self.rest(batch, self.backbone(batch), sizes, originals)


class Prepare(nn.Module):
    """Pictures, each resized and normalised, in one batch; the sizes that they have in it, and those that they had."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.training = transform.training

    def forward(self, images: list[Tensor]) -> tuple[Tensor, Sizes, Sizes]:
        """Height and width of each."""
        originals = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        found, _ = self.transform(list(images), None)
        return found.tensors, [(int(h), int(w)) for h, w in found.image_sizes], originals


class Rest(nn.Module):
    """The part after the backbone: the detector's own code, with the outputs of the parts before it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.training = network.training
        self.network = copy.copy(network)
        self.network._modules = {name: part for name, part in network._modules.items() if name not in {"transform", "backbone"}}
        self._postprocess = network.transform.postprocess

    def forward(self, batch: Tensor, features: Any, sizes: Sizes, originals: Sizes) -> Any:
        """The boxes of each picture."""
        network = copy.copy(self.network)
        places = [(int(h), int(w)) for h, w in sizes]
        given = features if isinstance(features, Tensor) else OrderedDict(features)
        network._modules = {**self.network._modules, "transform": _Made((ImageList(batch, places), None), self._postprocess),
                            "backbone": _Made(given)}  # fmt: skip
        pictures = [torch.empty((batch.shape[1], int(h), int(w)), dtype=batch.dtype, device=batch.device) for h, w in originals]
        return network(pictures)


class _Made(nn.Module):
    """A part that has run already."""

    def __init__(self, value: Any, postprocess: Any = None) -> None:
        super().__init__()
        self._value, self.postprocess = value, postprocess

    def forward(self, *given: Any) -> Any:
        """What it made."""
        del given
        return self._value


def adapter(module: nn.Module) -> Adapted | None:
    """The detector, written so that its backbone can be traced; None for any other module."""
    return (Detector(module), frozenset({"prepare", "rest"})) if isinstance(module, _KINDS) else None


ADAPTER = adapter
