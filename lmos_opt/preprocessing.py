"""`Preprocessing`: how a picture becomes a network's input, as data; and what is taken where nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Count, Number, Record

_MARGIN = 256 / 224
"""ImageNet's usual crop: the shorter side is brought to 256 pixels for a crop of 224."""

_BUNDLED_CAFFE = frozenset({"bundled:squeezenet1_1"})
MOST_SIDE = 2**14
Side = Annotated[Count, Field(ge=1, le=MOST_SIDE)]


class Preprocessing(Record):
    """The shorter side is resized to `resize` pixels, the centre cropped to `crop` (height, width), the channels put in the order
    `channels`, and each value divided by `scale`, less its `mean`, over its `std`.

    Pixels count from 0 to 255. `origin` says who knows: `weights` (it belongs to the weights), `assumed` (nobody said it;
    ImageNet's is usual) or `given`.
    """

    resize: Side
    crop: tuple[Side, Side]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    channels: Literal["RGB", "BGR", "L"]
    scale: Number
    mean: tuple[Number, ...]
    std: tuple[Number, ...]
    origin: Literal["weights", "assumed", "given"] = "given"

    @model_validator(mode="after")
    def _one_a_channel(self) -> Self:
        problems = [Problem(key, f"has {len(getattr(self, key))} numbers; {self.channels} has {len(self.channels)} channels")
                    for key in ("mean", "std") if len(getattr(self, key)) != len(self.channels)]  # fmt: skip
        problems += [Problem(key, "must be above 0") for key, values in (("scale", (self.scale,)), ("std", self.std))
                     if min(values, default=1) <= 0]  # fmt: skip
        if problems:
            raise InvalidError(problems)
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape (1, channels, height, width) of the input that it makes."""
        return (1, len(self.channels), *self.crop)

    @property
    def in_words(self) -> str:
        """All of it in half a sentence."""
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        height, width = self.crop
        return (f"shorter side to {self.resize} pixels ({self.interpolation}), centre {height}x{width}, {self.channels}, "
                f"over {self.scale:g}, mean {mean}, deviation {std}")


def takes_pictures(shape: Sequence[int], dtype: str) -> bool:
    """Whether an input of this shape may be one picture: float32 of 1 x 3 x H x W or 1 x 1 x H x W."""
    is_one = len(shape) == 4 and shape[0] == 1 and shape[1] in {1, 3}
    return is_one and dtype == "float32" and 1 <= min(shape) <= max(shape) <= MOST_SIDE


def usual_preprocessing(weights: str, channels: int, height: int, width: int) -> Preprocessing:
    """What goes with bundled weights; for all others ImageNet's, `assumed`; for one channel grey from 0 to 1, `assumed`."""
    resize = min(max(round(max(height, width) * _MARGIN), 1), MOST_SIDE)
    crop = (height, width)
    if channels == 1:
        return Preprocessing(resize=resize, crop=crop, channels="L", scale=255, mean=(0.0,), std=(1.0,), origin="assumed")
    if weights in _BUNDLED_CAFFE:  # blue, green, red from 0 to 255 less the mean picture, as networks trained with Caffe take them
        return Preprocessing(resize=resize, crop=crop, channels="BGR", scale=1, mean=(104.006, 116.669, 122.679), std=(1, 1, 1),
                             origin="weights")
    return Preprocessing(resize=resize, crop=crop, channels="RGB", scale=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
                         origin="assumed")
