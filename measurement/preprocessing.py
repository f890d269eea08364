"""Pictures to input tensors, as the weights expect them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from lmos_opt.errors import InputError
from measurement.weights import parse_weights

_MARGIN = 256 / 224
"""ImageNet's usual crop: the shorter side is brought to 256 pixels for a crop of 224."""


@dataclass(frozen=True)
class Normalisation:
    """Value / `scale`, less `mean`, over `std`, channel by channel, in the channel order `order` of an RGB picture."""

    order: tuple[int, ...]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels, uint8 and C x H x W, to values, float32 and as many."""
        mean, std = self._columns()
        return pixels[list(self.order)].float().div(self.scale).sub(mean).div(std)

    def pixels(self, values: torch.Tensor) -> torch.Tensor:
        """The other way round: the nearest pixels, uint8; what came from pixels gives them again."""
        mean, std = self._columns()
        found = values.mul(std).add(mean).mul(self.scale).round_().clamp_(0, 255).to(torch.uint8)
        return found[[self.order.index(k) for k in range(len(self.order))]]

    def _columns(self) -> tuple[torch.Tensor, torch.Tensor]:
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return mean, std


_IMAGENET = Normalisation((0, 1, 2), 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE = Normalisation((2, 1, 0), 1, (104.006, 116.669, 122.679), (1, 1, 1))
"""Blue, green, red from 0 to 255 less the mean picture, as networks trained with Caffe take them."""
_GREY = Normalisation((0,), 255, (0.0,), (1.0,))
_OF_BUNDLED = {"squeezenet1_1": _CAFFE}


def preprocessing_for(
    builder: str, weights: str, input_shape: Sequence[int]
) -> Callable[[Image.Image], torch.Tensor]:
    """What turns a picture into the input of the network that `builder` and `weights` name: float32, 1xCxHxW.

    `input_shape` is (C, H, W) or (1, C, H, W). The shorter side is resized to 256/224 of the crop, the centre cropped,
    and the channels normalised with ImageNet's mean and standard deviation; the bundled SqueezeNet wants Caffe's
    order and mean instead, a network with one channel gets grey from 0 to 1. Published torchvision weights are given
    the very transformation that was published with them, where it yields that shape.
    """
    *_, channels, height, width = input_shape
    if channels not in {1, 3} or len(input_shape) not in {3, 4}:
        shape = "x".join(map(str, input_shape))
        raise InputError(builder, f"takes input of shape {shape}; a picture gives 1x3xHxW or 1x1xHxW")
    kind, name = parse_weights(weights)
    published = _published(builder, name, height, width) if kind == "torchvision" and channels == 3 else None
    if published is not None:

        def as_published(picture: Image.Image) -> torch.Tensor:
            prepared: torch.Tensor = published(picture.convert("RGB")).unsqueeze(0)
            return prepared

        return as_published
    normalise = _normalisation(kind, name, channels)

    def prepare(picture: Image.Image) -> torch.Tensor:
        pixels = np.asarray(_crop(picture.convert("RGB" if channels == 3 else "L"), height, width))
        planes = torch.from_numpy(pixels.reshape(height, width, channels).copy()).permute(2, 0, 1)
        return normalise(planes).unsqueeze(0).contiguous()

    return prepare


def normalisation_for(builder: str, weights: str, input_shape: Sequence[int]) -> Normalisation:
    """What `preprocessing_for` does to the pixels of the cropped picture, in the end."""
    *_, channels, height, width = input_shape
    kind, name = parse_weights(weights)
    published = _published(builder, name, height, width) if kind == "torchvision" and channels == 3 else None
    if published is not None:
        return Normalisation((0, 1, 2), 255, tuple(published.mean), tuple(published.std))
    return _normalisation(kind, name, channels)


def _normalisation(kind: str, name: str, channels: int) -> Normalisation:
    if channels == 1:
        return _GREY
    return _OF_BUNDLED.get(name, _IMAGENET) if kind == "bundled" else _IMAGENET


def _crop(picture: Image.Image, height: int, width: int) -> Image.Image:
    """The centre of the picture, its shorter side first brought to 256/224 of the longer side wanted."""
    shorter = round(max(height, width) * _MARGIN)
    scale = shorter / min(picture.size)
    wide, high = (shorter if side == min(picture.size) else int(side * scale) for side in picture.size)
    resized = picture.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = round((wide - width) / 2), round((high - height) / 2)
    return resized.crop((left, top, left + width, top + height))


def _published(builder: str, entry: str, height: int, width: int) -> Any:
    """The transformation that was published with these weights; None where it gives another shape."""
    from torchvision.models import get_model_weights

    transforms = get_model_weights(builder.partition(":")[2])[entry].transforms()
    return transforms if transforms(Image.new("RGB", (width, height))).shape == (3, height, width) else None
