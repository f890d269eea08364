"""From picture files to upright pictures with 8 bits per channel, in bounded memory.

The rules, for all that Pillow reads of the FORMATS:

- The first frame counts. The camera's orientation (EXIF, all eight) is applied; colour profiles are not.
- 1 bit, grey, palettes, CMYK, YCbCr and HSV become RGB or grey as Pillow converts them. Transparency is dropped: the colours
  are those that are stored, which is what networks were trained on.
- Grey of 16 bits is scaled to 8 bits and rounded: 65535 is white. Whole numbers of 32 bits are read in the same way if all are from
  0 to 65535. Of colours of 16 bits, Pillow keeps the upper 8.
- Grey of floats is scaled if all values are from 0 (black) to 1 (white). Other values are refused, because nothing says which value
  is white.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lmos_opt.errors import InputError
from measurement.pictures import libtiff

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The formats that are tried, whatever a file's name is. Pillow knows others too, and some of them start programs."""

MOST_PIXELS = 2**26
"""The most pixels of a header. A pixel takes up to 4 bytes, and a picture is in memory twice while it is turned: 0.54 GB."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, MemoryError, struct.error,
           ImportError)  # fmt: skip
"""Errors of Pillow's decoders on broken files, and of packages that replace these decoders."""

_SIXTEEN = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_MEANT_FOR_WHITE = 262
"""The TIFF tag whose value is 0 if 0 is white. Pillow uses it only for 8 bits and fewer."""


def read_picture(path: Path) -> Image.Image:
    """The picture in a file, upright, of mode L or RGB, all its pixels in memory.

    InputError names a file that is no picture, is broken, has more than MOST_PIXELS, or does not say which value is white.
    """
    try:
        with _quietly(), Image.open(path, formats=FORMATS) as picture:
            wide, high = picture.size
            if wide < 1 or high < 1:
                raise InputError(str(path), f"is a picture of {wide}x{high} pixels; expected at least 1x1")
            if wide * high > MOST_PIXELS:
                raise _too_large(path, f"has {wide}x{high} pixels")
            libtiff.begin()
            picture.load()
            if libtiff.has_complained():
                raise InputError(str(path), "is not a picture that can be read: its data are damaged")
            inverted = getattr(picture, "tag_v2", {}).get(_MEANT_FOR_WHITE) == 0
            return _of_8_bits(path, ImageOps.exif_transpose(picture), inverted)
    except UnidentifiedImageError:
        raise InputError(str(path), "is not a picture that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(path, "has too many pixels") from None
    except InputError:
        raise
    except _BROKEN as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        said = reason.partition("\n")[0] or type(error).__name__
        raise InputError(str(path), f"is not a picture that can be read: {said}") from None


@contextmanager
def _quietly() -> Iterator[None]:
    """One line says what is wrong with a picture, without Pillow's warnings before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _too_large(path: Path, what: str) -> InputError:
    return InputError(str(path), f"{what}; expected at most {MOST_PIXELS} ({MOST_PIXELS >> 20} MiPixel)")


def _of_8_bits(path: Path, picture: Image.Image, inverted: bool) -> Image.Image:
    if picture.mode in _SIXTEEN or picture.mode == "F":
        grey = _scaled(path, picture, 1 if picture.mode == "F" else 65535)
        return ImageOps.invert(grey) if inverted else grey
    if picture.mode in _PREMULTIPLIED:
        picture = picture.convert(_PREMULTIPLIED[picture.mode])
    return picture.convert("L" if picture.mode in {"1", "L", "LA"} else "RGB")


def _scaled(path: Path, picture: Image.Image, white: int) -> Image.Image:
    """Grey from 0 to `white`, rounded to 8 bits."""
    values = np.asarray(picture)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # nor where one is no number
        raise InputError(str(path), f"holds grey from {low:g} to {high:g}, and nothing says which is white; expected 0 to {white}")
    pixels = np.empty(values.shape, np.uint8)
    for row, line in zip(pixels, values, strict=True):  # not the whole of it in doubles
        row[:] = np.rint(line * (255 / white))
    return Image.fromarray(pixels)
