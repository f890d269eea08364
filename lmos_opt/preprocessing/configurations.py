"""Conventions from files: your own, timm's `pretrained_cfg`, the `preprocessor_config.json` of transformers, lists of labels.

None of these libraries is needed: their configurations are data. A size that differs from the input's is scaled to it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict

from lmos_opt.errors import InputError, InvalidError
from lmos_opt.files import as_text, input_errors, read_file, read_json
from lmos_opt.preprocessing import (
    FLOATS,
    MOST_LABELS,
    Channels,
    Interpolation,
    Labels,
    PixelType,
    Preprocessing,
    Tensor,
    imagenet_preprocessing,
    picture_layout,
    plain_preprocessing,
)
from lmos_opt.units import whole_of

_PILLOWS: tuple[Interpolation, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Interpolations by the numbers that Pillow, and so transformers, gives them."""
_WARPED_FROM = 384
"""From this size on ConvNeXT's processor resizes to exactly the input and crops nothing."""


def read_preprocessing(text: str, tensor: Tensor) -> Preprocessing:
    """`imagenet`, `none` (resized to the input's size, values from 0 to 1, or pixels of a uint8 input) or a JSON file, for an input
    of this shape and dtype.

    A file holds keys of `Preprocessing`; missing keys are as under `none`. A `preprocessor_config.json` of transformers can be read
    too. InputError for a file that is neither, and if no picture gives such an input.
    """
    shape, dtype = tensor.shape, tensor.dtype
    plain, found = plain_preprocessing(shape, dtype), picture_layout(shape)
    if plain is None or found is None:
        raise InputError("--preprocess", f"is for inputs that a picture gives; this one is {'x'.join(map(str, shape))} {dtype}")
    if text == "none":
        return plain
    if text == "imagenet":
        if found[:2] != ("NCHW", 3) or dtype not in FLOATS:
            raise InputError("--preprocess", f"imagenet gives 1x3xHxW floats; this input is {'x'.join(map(str, shape))} {dtype}")
        return imagenet_preprocessing(*plain.crop, cast(PixelType, dtype)).model_copy(update={"origin": "given"})
    if not os.path.exists(text):  # noqa: PTH110 - Path's raises for a name that is too long
        raise InputError("--preprocess", f"{text!r:.90} is neither imagenet, none nor a file")
    data = read_json(text)
    if not isinstance(data, dict):
        raise InputError(text, "is no preprocessing; expected a JSON object with keys such as resize, crop, mean and std")
    if data.keys() & {"image_mean", "do_normalize", "do_resize", "do_rescale"}:
        theirs = of_transformers(data, shape, dtype, text)
        if theirs is None:
            raise InputError(text, f"does not say how a picture becomes {'x'.join(map(str, shape))} {dtype}")
        return theirs.model_copy(update={"origin": "given"})
    with input_errors(text):
        given = Preprocessing.model_validate({**plain.model_dump(), **data, "origin": "given"})
    try:
        given.check_fits(tensor, "")
    except InvalidError as error:
        raise InputError(text, error.problems) from None
    return given


def read_labels(text: str) -> Labels:
    """`imagenet`, or a file with a class's name on each line, or a JSON file: a list of names, an object from numbers to names, or
    either under the key `classes` or `id2label`. InputError for any other."""
    if text == "imagenet":
        return "imagenet"
    if Path(text).suffix.lower() != ".json":
        return _checked(text, _lines(text))
    data = read_json(text)
    if isinstance(data, dict):
        data = next((data[key] for key in ("classes", "id2label") if key in data), data)
    if isinstance(data, dict):
        data = _numbered(text, data)
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise InputError(text, "holds no labels; expected a list of names, or an object from numbers to names")
    return _checked(text, data)


def of_timm(config: Mapping[str, Any], shape: Sequence[int], dtype: str = "float32") -> Preprocessing | None:
    """The preprocessing that a `pretrained_cfg` of timm, or the result of its `resolve_data_config`, gives for an input of this
    shape; None if a `Preprocessing` cannot hold it."""
    with input_errors("pretrained_cfg"):
        said = _Timm.model_validate(_known(config, _Timm))
    size = _size(shape)
    if size is None or said.crop_mode not in {"center", "squash"} or not said.crop_pct > 0:
        return None
    longer = [math.floor(side / said.crop_pct) for side in size]
    interpolation = said.interpolation if said.interpolation in get_args(Interpolation) else "bilinear"
    resize = longer[0] if said.crop_mode == "center" and longer[0] == longer[1] else tuple(longer)
    return _made(shape, dtype, resize, interpolation, 255.0, (said.mean, said.std))


def of_transformers(config: Mapping[str, Any], shape: Sequence[int], dtype: str = "float32",
                    source: str = "preprocessor_config.json") -> Preprocessing | None:  # fmt: skip
    """The preprocessing that the `preprocessor_config.json` beside a `config.json` gives for an input of this shape; None if it
    does not give one.

    `source` names the file in an InputError about values of other types.
    """
    with input_errors(source):
        said = _Transformers.model_validate(_known(config, _Transformers))
    size = _size(shape)
    statistics = said.statistics
    if size is None or statistics is None or not (said.rescale_factor > 0 and 0 <= said.resample < len(_PILLOWS)):
        return None
    resize, crop = said.sizes
    if crop is None or resize is None:
        fitted: int | tuple[int, ...] = size
    elif isinstance(resize, int):
        fitted = max(round(resize * max(size) / max(crop)), 1)
    else:
        fitted = tuple(max(round(side * to / own), 1) for side, to, own in zip(resize, size, crop, strict=True))
    scale = 1 / said.rescale_factor if said.do_rescale else 1.0
    return _made(shape, dtype, fitted, _PILLOWS[said.resample], round(scale, 6), statistics,
                 "BGR" if said.do_flip_channel_order else "RGB")  # fmt: skip


class _Timm(BaseModel):
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"


_Size = int | dict[str, int | None]


class _Transformers(BaseModel):
    model_config = ConfigDict(frozen=True)

    do_resize: bool = True
    size: _Size | None = None
    do_center_crop: bool = False
    crop_size: _Size | None = None
    crop_pct: float | None = None
    resample: int = 2
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: float | tuple[float, ...] | None = None
    image_std: float | tuple[float, ...] | None = None
    do_flip_channel_order: bool = False

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and deviation; None if they are those of a class of transformers."""
        if not self.do_normalize:
            return (0.0,), (1.0,)
        found = [value if isinstance(value, tuple | None) else (value,) for value in (self.image_mean, self.image_std)]
        return None if found[0] is None or found[1] is None else (found[0], found[1])

    @property
    def sizes(self) -> tuple[int | tuple[int, int] | None, tuple[int, int] | None]:
        """What is resized to, and the crop (height, width), as for a picture of its own size; None: exactly the input's."""
        if not self.do_resize:
            return None, None
        shortest, exact = _shortest(self.size, self.do_center_crop or self.crop_pct is not None), _exact(self.size)
        if self.do_center_crop:
            crop = _exact(self.crop_size)
            return (shortest or exact), crop
        if shortest is not None and self.crop_pct and shortest < _WARPED_FROM:
            return int(shortest / self.crop_pct), (shortest, shortest)
        return exact, exact


def _known(config: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key in model.model_fields and value is not None}


def _shortest(size: _Size | None, is_edge: bool) -> int | None:
    if isinstance(size, dict):
        return size.get("shortest_edge") if not size.get("longest_edge") else None
    return size if is_edge else None


def _exact(size: _Size | None) -> tuple[int, int] | None:
    if isinstance(size, dict):
        height, width = size.get("height"), size.get("width")
        return (height, width) if height and width else None
    return None if size is None else (size, size)


def _size(shape: Sequence[int]) -> tuple[int, int] | None:
    found = picture_layout(shape)
    return None if found is None else found[2]


def _made(shape: Sequence[int], dtype: str, resize: int | tuple[int, ...], interpolation: str, scale: float,
          statistics: tuple[tuple[float, ...], tuple[float, ...]], channels: Literal["RGB", "BGR"] = "RGB",
          ) -> Preprocessing | None:  # fmt: skip
    found = picture_layout(shape)
    if found is None or dtype not in FLOATS:
        return None
    layout, n, crop = found
    mean, std = (tuple(value) * n if len(value) == 1 else tuple(value) for value in statistics)
    if len(mean) != n or len(std) != n:
        return None
    order: Channels = "L" if n == 1 else channels
    with input_errors("preprocessing"):
        return Preprocessing.model_validate({
            "resize": resize, "crop": crop, "interpolation": interpolation, "channels": order, "scale": scale, "mean": mean,
            "std": std, "layout": layout, "dtype": dtype, "origin": "source",
        })  # fmt: skip


def _lines(text: str) -> list[str]:
    found = [line.strip() for line in as_text(read_file(text), text).splitlines()]
    empty = next((k for k, line in enumerate(found, 1) if not line), None)
    if empty is not None:
        raise InputError(text, f"line {empty} is empty; expected a class's name on each line")
    return found


def _numbered(text: str, data: Mapping[str, Any]) -> list[Any]:
    """The names by their numbers; a number that is left out is its own name."""
    names: dict[int, Any] = {}
    for key, name in data.items():
        number = whole_of(key)
        if number is None or number >= MOST_LABELS:
            raise InputError(text, f"{key!r:.60} is no number of a class; expected 0 to {MOST_LABELS - 1}")
        names[number] = name
    return [names.get(k, str(k)) for k in range(max(names, default=-1) + 1)]


def _checked(text: str, names: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(names) <= MOST_LABELS:
        raise InputError(text, f"holds {len(names)} labels; expected 1 to {MOST_LABELS}")
    return tuple(names)
