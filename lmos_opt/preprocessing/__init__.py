"""`Preprocessing`: data that say how a picture becomes a network's input, and the assumption if nothing is known.

`configurations` reads it from files: your own, timm's and transformers'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Protocol, Self

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Count, Name, Number, Record, encodable

_MARGIN = 256 / 224
"""ImageNet's usual crop: the shorter side is brought to 256 pixels for a crop of 224."""

_BUNDLED_CAFFE = frozenset({"bundled:squeezenet1_1"})
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOST_SIDE = 2**14
Side = Annotated[Count, Field(ge=1, le=MOST_SIDE)]
Channels = Literal["RGB", "BGR", "L"]
Layout = Literal["NCHW", "NHWC", "CHW", "HWC"]
Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
PixelType = Literal["float32", "float16", "bfloat16", "float64", "uint8"]
FLOATS = frozenset({"float32", "float16", "bfloat16", "float64"})
MOST_LABELS = 2**20


def _resize(value: object) -> object:
    """One check for a side and for two: a union of types would report every member's complaint."""
    sides = value if isinstance(value, list | tuple) else [value]
    if len(sides) != (2 if sides is value else 1) or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise ValueError("expected a whole number, or two")
    if not 1 <= min(sides) <= max(sides) <= MOST_SIDE:
        raise ValueError(f"expected greater than or equal to 1, and at most {MOST_SIDE}")
    return tuple(sides) if sides is value else value


def _labels(value: object) -> object:
    if isinstance(value, list | tuple) and 1 <= len(value) <= MOST_LABELS and all(isinstance(name, str) for name in value):
        return tuple(encodable(name) for name in value)
    if value != "imagenet":
        raise ValueError(f"expected 'imagenet' or a list of 1 to {MOST_LABELS} names")
    return value


Resize = Annotated[int | tuple[int, int], BeforeValidator(_resize)]
Labels = Annotated[Literal["imagenet"] | tuple[str, ...], BeforeValidator(_labels)]
"""The names of the classes, in the order of the network's outputs; `imagenet` are the 1000 names of its challenge of 2012."""


class Tensor(Protocol):
    """The description of an input (`lmos_opt.profile.TensorSpec`)."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102


class Preprocessing(Record):
    """The steps from a picture to a network's input.

    1. The shorter side is resized to `resize` pixels; or the picture to exactly this (height, width).
    2. The centre is cropped to `crop` (height, width).
    3. The channels are put in the order `channels`.
    4. Each value, from 0 to 255, is divided by `scale`. Then the channel's `mean` is subtracted, and the result is divided by the
       channel's `std`. The pixels of a `uint8` input are not changed.

    The tensor has the axes `layout` (N is 1) and the type `dtype`. `origin` says where these numbers come from: `weights` (they
    belong to the weights), `source` (the configuration of the network's source), `assumed` (nothing is known: the usual ones for
    ImageNet) or `given`.
    """

    resize: Resize
    crop: tuple[Side, Side]
    interpolation: Interpolation = "bilinear"
    channels: Channels
    scale: Number
    mean: tuple[Number, ...]
    std: tuple[Number, ...]
    layout: Layout = "NCHW"
    dtype: PixelType = "float32"
    origin: Literal["weights", "source", "assumed", "given"] = "given"

    @model_validator(mode="after")
    def _one_a_channel(self) -> Self:
        problems = [Problem(key, f"has {len(getattr(self, key))} numbers; {self.channels} has {len(self.channels)} channels")
                    for key in ("mean", "std") if len(getattr(self, key)) != len(self.channels)]  # fmt: skip
        problems += [Problem(key, "must be above 0") for key, values in (("scale", (self.scale,)), ("std", self.std))
                     if min(values, default=1) <= 0]  # fmt: skip
        if self.dtype == "uint8" and (self.scale, set(self.mean), set(self.std)) != (1, {0}, {1}):
            problems.append(Problem("dtype", "is uint8, whose pixels stay as they are: expected scale 1, mean 0 and std 1"))
        if problems:
            raise InvalidError(problems)
        return self

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        for key, usual in (("layout", "NCHW"), ("dtype", "float32")):
            if found.get(key) == usual:
                del found[key]
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the input that it makes, with a batch of one where the layout has an N."""
        sizes = {"N": 1, "C": len(self.channels), "H": self.crop[0], "W": self.crop[1]}
        return tuple(sizes[axis] for axis in self.layout)

    def check_fits(self, tensor: Tensor, path: str) -> None:
        """InvalidError, at `path`, unless it makes such a tensor."""
        if (self.shape, self.dtype) != (tuple(tensor.shape), tensor.dtype):
            made, taken = (f"{'x'.join(map(str, one.shape))} {one.dtype}" for one in (self, tensor))
            raise InvalidError([Problem(path, f"makes {made}; input is {taken}")])

    def check_fits_one(self, tensors: Iterable[Tensor], path: str) -> None:
        """InvalidError, at `path`, unless it makes one of these."""
        candidates = [*tensors]
        if not any((self.shape, self.dtype) == (tuple(tensor.shape), tensor.dtype) for tensor in candidates):
            self.check_fits(candidates[0], path)

    @property
    def in_words(self) -> str:
        """The preprocessing in half a sentence."""
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        height, width = self.crop
        size = f"shorter side to {self.resize}" if isinstance(self.resize, int) else "to {}x{}".format(*self.resize)
        unusual = "".join(f", {value}" for value, usual in ((self.layout, "NCHW"), (self.dtype, "float32")) if value != usual)
        return (f"{size} pixels ({self.interpolation}), centre {height}x{width}, {self.channels}, "
                f"over {self.scale:g}, mean {mean}, deviation {std}{unusual}")


class Conventions(Record):
    """Facts about a network that its layers do not show; None: not known.

    They are the preprocessing of pictures, the names of classes, and the task: what the outputs are (one of `runner.tasks`, such as
    `classes`, `boxes` or `masks`).
    """

    preprocessing: Preprocessing | None = None
    labels: Labels | None = None
    task: Name | None = None


def takes_pictures(shape: Sequence[int], dtype: str) -> bool:
    """Whether an input of this shape may be one picture: floats of 1 x 3 x H x W or 1 x 1 x H x W."""
    is_one = len(shape) == 4 and shape[0] == 1 and shape[1] in {1, 3}
    return is_one and dtype in FLOATS and 1 <= min(shape) <= max(shape) <= MOST_SIDE


def usual_preprocessing(weights: str, channels: int, height: int, width: int, dtype: PixelType = "float32") -> Preprocessing:
    """The preprocessing of bundled weights; otherwise an assumption (`origin` is `assumed`).

    The assumption is that of ImageNet, or, for an input of one channel, grey from 0 to 1.
    """
    if channels == 1:
        return _of(height, width, "L", 255, (0.0,), (1.0,), dtype)
    if weights in _BUNDLED_CAFFE:  # blue, green, red from 0 to 255 less the mean picture, as networks trained with Caffe take them
        return _of(height, width, "BGR", 1, (104.006, 116.669, 122.679), (1, 1, 1), dtype, "weights")
    return imagenet_preprocessing(height, width, dtype)


def imagenet_preprocessing(height: int, width: int, dtype: PixelType = "float32") -> Preprocessing:
    """ImageNet's resizing, crop, mean and deviation, `assumed`."""
    return _of(height, width, "RGB", 255, IMAGENET_MEAN, IMAGENET_STD, dtype)


def plain_preprocessing(shape: Sequence[int], dtype: str) -> Preprocessing | None:
    """A picture resized to exactly the input's size, with values from 0 to 1, or unchanged pixels if the input is uint8, and
    nothing subtracted; None if no picture gives an input of that shape and dtype."""
    found = picture_layout(shape)
    if found is None or (dtype != "uint8" and dtype not in FLOATS):
        return None
    layout, n, size = found
    channels: Channels = "RGB" if n == 3 else "L"
    return Preprocessing.model_validate({
        "resize": size, "crop": size, "channels": channels, "scale": 1 if dtype == "uint8" else 255, "mean": (0.0,) * n,
        "std": (1.0,) * n, "layout": layout, "dtype": dtype, "origin": "given",
    })  # fmt: skip


def picture_layout(shape: Sequence[int]) -> tuple[Layout, int, tuple[int, int]] | None:
    """The layout, the channels, and the height and width of a picture with this shape; None if it is no picture."""
    if len(shape) not in {3, 4} or (len(shape) == 4 and shape[0] != 1) or not 1 <= min(shape) <= max(shape) <= MOST_SIDE:
        return None
    batch: Literal["N", ""] = "N" if len(shape) == 4 else ""
    first, second, third = shape[-3:]
    if first in {1, 3}:
        return ("NCHW" if batch else "CHW"), first, (second, third)
    return (("NHWC" if batch else "HWC"), third, (first, second)) if third in {1, 3} else None


def _of(height: int, width: int, channels: Channels, scale: float, mean: tuple[float, ...], std: tuple[float, ...],
        dtype: PixelType, origin: Literal["weights", "assumed"] = "assumed") -> Preprocessing:  # fmt: skip
    resize = min(max(round(max(height, width) * _MARGIN), 1), MOST_SIDE)
    return Preprocessing(resize=resize, crop=(height, width), channels=channels, scale=scale, mean=mean, std=std, dtype=dtype,
                         origin=origin)
