"""Pictures to input tensors, as the weights expect them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from lmos_opt.errors import InputError
from lmos_opt.preprocessing import MOST_SIDE, Preprocessing, takes_pictures, usual_preprocessing
from measurement.networks.weights import parse_weights

_ORDERS = {"RGB": (0, 1, 2), "BGR": (2, 1, 0), "L": (0,)}

LONGEST = 16
"""A picture that is longer than so many times its shorter side loses its ends before it is resized: what is cropped later shows
none of them, and 4000x1 pixels would become a gigabyte."""


@dataclass(frozen=True)
class Normalisation:
    """Value / `scale`, less `mean`, over `std`, channel by channel, in the channel order `order` of an RGB picture."""

    order: tuple[int, ...]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, how: Preprocessing) -> Normalisation:
        """The last step of a pre-processing."""
        return cls(_ORDERS[how.channels], how.scale, how.mean, how.std)

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
        mean, std = (torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return mean, std


def preprocessing_of(builder: str, weights: str, input_shape: Sequence[int]) -> Preprocessing:
    """How pictures become the input of the network that `builder` and `weights` name.

    `input_shape` is (C, H, W) or (1, C, H, W). Published torchvision weights bring their own, where it gives that shape; bundled
    ones too. Everything else gets what `usual_preprocessing` assumes. InputError for a shape that no picture gives.
    """
    whole = (1, *input_shape) if len(input_shape) == 3 else tuple(input_shape)
    if not takes_pictures(whole, "float32"):
        shape = "x".join(map(str, input_shape))
        raise InputError(builder, f"takes input of shape {shape}; a picture gives 1x3xHxW or 1x1xHxW, each side up to {MOST_SIDE}")
    channels, height, width = input_shape[-3:]
    kind, name = parse_weights(weights)
    published = _published(builder, name, height, width) if kind == "torchvision" and channels == 3 else None
    return published or usual_preprocessing(weights, channels, height, width)


def preparing(how: Preprocessing) -> Callable[[Image.Image], torch.Tensor]:
    """What turns a picture into a network's input: float32, 1 x C x H x W."""
    normalise, mode = Normalisation.of(how), "L" if how.channels == "L" else "RGB"

    def prepare(picture: Image.Image) -> torch.Tensor:
        pixels = np.array(_crop(picture.convert(mode), how))
        return normalise(torch.from_numpy(pixels.reshape(*how.crop, -1)).permute(2, 0, 1)).unsqueeze(0).contiguous()

    return prepare


def preprocessing_for(builder: str, weights: str, input_shape: Sequence[int]) -> Callable[[Image.Image], torch.Tensor]:
    """`preparing` of `preprocessing_of`."""
    return preparing(preprocessing_of(builder, weights, input_shape))


def normalisation_for(builder: str, weights: str, input_shape: Sequence[int]) -> Normalisation:
    """What `preprocessing_for` does to the pixels of the cropped picture, in the end."""
    return Normalisation.of(preprocessing_of(builder, weights, input_shape))


def _crop(picture: Image.Image, how: Preprocessing) -> Image.Image:
    picture = _without_ends(picture)
    shorter, (height, width) = min(picture.size), how.crop
    wide, high = (how.resize if side == shorter else int(how.resize * side / shorter) for side in picture.size)
    resized = picture.resize((wide, high), Image.Resampling[how.interpolation.upper()])
    left, top = round((wide - width) / 2), round((high - height) / 2)
    return resized.crop((left, top, left + width, top + height))


def _without_ends(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    kept = LONGEST * min(picture.size)
    if max(picture.size) <= kept:
        return picture
    begin = (max(picture.size) - kept) // 2
    return picture.crop((begin, 0, begin + kept, high) if wide > high else (0, begin, wide, begin + kept))


def _published(builder: str, entry: str, height: int, width: int) -> Preprocessing | None:
    """What was published with these weights; None where it gives another shape, or is no mere resizing and normalising."""
    from torchvision.models import get_model_weights

    how: Any = get_model_weights(builder.partition(":")[2])[entry].transforms()
    resize, mean, std = (list(getattr(how, key, None) or ()) for key in ("resize_size", "mean", "std"))
    crop = list(getattr(how, "crop_size", None) or resize)
    interpolation = str(getattr(getattr(how, "interpolation", None), "value", ""))
    fits = (height, width) == tuple((crop * 2)[:2]) and len(resize) == 1 and len(mean) == len(std) == 3
    if not fits or interpolation not in {"bilinear", "bicubic"}:
        return None
    return Preprocessing.model_validate({"resize": resize[0], "crop": (height, width), "interpolation": interpolation,
                                         "channels": "RGB", "scale": 255, "mean": tuple(mean), "std": tuple(std),
                                         "origin": "weights"})
