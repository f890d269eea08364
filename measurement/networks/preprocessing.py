"""Pictures to input tensors, as the weights expect them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from PIL import Image

from lmos_opt.errors import InputError
from lmos_opt.preprocessing import (
    MOST_SIDE,
    PixelType,
    Preprocessing,
    takes_pictures,
    usual_preprocessing,
)
from lmos_opt.profile import TensorSpec
from measurement.networks.conventions import conventions_of
from measurement.pictures.cropping import ORDERS
from measurement.pictures.values import values_of


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
        return cls(ORDERS[how.channels], how.scale, how.mean, how.std)

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


def preprocessing_of(builder: str, weights: str, input_shape: Sequence[int], dtype: str = "float32") -> Preprocessing:
    """How pictures become the input of the network that `builder` and `weights` name.

    `input_shape` is (C, H, W) or (1, C, H, W). The network's source gives it, or the bundled weights do. All other networks get
    `usual_preprocessing`, which is an assumption. InputError for a shape that no picture has.
    """
    whole = (1, *input_shape) if len(input_shape) == 3 else tuple(input_shape)
    if not takes_pictures(whole, dtype):
        shape = "x".join(map(str, input_shape))
        raise InputError(builder, f"takes input of shape {shape}; a picture gives 1x3xHxW or 1x1xHxW, each side up to {MOST_SIDE}")
    tensor = TensorSpec.model_validate({"shape": whole, "dtype": dtype})
    _, channels, height, width = whole
    said = conventions_of(builder, weights, tensor).preprocessing
    return said or usual_preprocessing(weights, channels, height, width, cast(PixelType, dtype))


def preparing(how: Preprocessing) -> Callable[[Image.Image], torch.Tensor]:
    """The function from a picture to the network's input, with the shape and dtype of the preprocessing."""
    dtype = getattr(torch, how.dtype)
    return lambda picture: torch.from_numpy(values_of(picture, how)).to(dtype)


def pixels_of(values: torch.Tensor, how: Preprocessing) -> torch.Tensor:
    """The picture, uint8 and C x H x W in the order RGB, that a network's input was made of; the nearest pixels of any other."""
    found = values.reshape(how.shape[-3:])
    return Normalisation.of(how).pixels((found if how.layout in {"NCHW", "CHW"} else found.permute(2, 0, 1)).float())


def preprocessing_for(builder: str, weights: str, input_shape: Sequence[int]) -> Callable[[Image.Image], torch.Tensor]:
    """`preparing` of `preprocessing_of`."""
    return preparing(preprocessing_of(builder, weights, input_shape))


def normalisation_for(builder: str, weights: str, input_shape: Sequence[int]) -> Normalisation:
    """The normalisation that `preprocessing_for` applies, as its last step, to the pixels of the cropped picture."""
    return Normalisation.of(preprocessing_of(builder, weights, input_shape))
