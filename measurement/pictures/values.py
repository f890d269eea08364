"""Pictures to arrays, as a network takes them; numbers as torch has them, bit for bit, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from measurement.pictures.cropping import ORDERS, Cropping, cropped


class Preparing(Cropping, Protocol):
    """What of a pre-processing (`lmos_opt.preprocessing.Preprocessing`) makes numbers of pixels."""

    @property
    def channels(self) -> str:
        """Their order: one of ORDERS."""

    @property
    def scale(self) -> float:
        """What pixels are divided by."""

    @property
    def mean(self) -> Sequence[float]:
        """The numbers that are then subtracted, one for each channel."""

    @property
    def std(self) -> Sequence[float]:
        """The numbers by which the result is then divided, one for each channel."""

    @property
    def layout(self) -> str:
        """The axes' order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the input."""


def values_of(picture: Image.Image, how: Preparing) -> npt.NDArray[np.float32]:
    """The input that a picture becomes, contiguous, before it gets the network's own type."""
    pixels = np.array(cropped(picture.convert("L" if how.channels == "L" else "RGB"), how)).reshape(*how.crop, -1)
    values: npt.NDArray[Any] = pixels.transpose(2, 0, 1)[list(ORDERS[how.channels])].astype(np.float32)
    values /= np.float32(how.scale)
    mean, std = (np.array(numbers, np.float32).reshape(-1, 1, 1) for numbers in (how.mean, how.std))
    values -= mean
    values /= std
    found = values if how.layout in {"NCHW", "CHW"} else values.transpose(1, 2, 0)
    return np.ascontiguousarray(found).reshape(how.shape)
