"""The part of a picture that a network sees: resized, and its centre cropped. Needs Pillow alone."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

ORDERS = {"RGB": (0, 1, 2), "BGR": (2, 1, 0), "L": (0,)}
"""The channels of a picture by the order in which a network takes them."""

LONGEST = 16
"""A picture that is longer than so many times its shorter side loses its ends before it is resized: what is cropped later shows
none of them, and 4000x1 pixels would become a gigabyte."""


class Cropping(Protocol):
    """What of a pre-processing (`lmos_opt.preprocessing.Preprocessing`) concerns a picture's size."""

    @property
    def resize(self) -> int | tuple[int, int]:
        """The shorter side, or height and width."""

    @property
    def crop(self) -> tuple[int, int]:
        """Height and width of what is left."""

    @property
    def interpolation(self) -> str:
        """Pillow's name of it, in lower case."""


def cropped(picture: Image.Image, how: Cropping) -> Image.Image:
    """The part of a picture that a network sees, resized, of `how.crop` pixels."""
    height, width = how.crop
    if isinstance(how.resize, int):
        picture = _without_ends(picture)
        shorter = min(picture.size)
        wide, high = (how.resize if side == shorter else int(how.resize * side / shorter) for side in picture.size)
    else:
        high, wide = how.resize
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
