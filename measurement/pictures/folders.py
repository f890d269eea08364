"""The pictures of a folder: which files they are, and which of them can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos_opt.errors import InputError
from measurement.arrays import SUFFIXES as ARRAYS
from measurement.pictures import read_picture

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Skipped:
    """A file that is no picture that can be used, and why."""

    file: str
    reason: str


def picture_files(path: Path) -> list[Path]:
    """The pictures in a folder, by name, or the one picture that this is; InputError if there is neither."""
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return [path]
    if not path.is_dir():
        suffixes = ", ".join(sorted(ARRAYS))
        raise InputError(str(path), f"is not a folder, a picture, a video or a file of arrays ({suffixes})" if path.exists() else
                         "no such file or folder")  # fmt: skip
    files = sorted(found for found in path.iterdir() if found.suffix.lower() in SUFFIXES and found.is_file())
    if not files:
        raise InputError(str(path), f"has no pictures ({', '.join(sorted(SUFFIXES))})")
    return files


def usable(files: Sequence[Path], most: int | None, skip_bad: bool) -> tuple[list[Path], list[Skipped]]:
    """The first `most` that can be read, and those before them that cannot."""
    found: list[Path] = []
    skipped = []
    for file in files:
        if most is not None and len(found) == most:
            break
        try:
            read_picture(file)
        except InputError as error:
            if not skip_bad:
                raise
            skipped.append(Skipped(file.name, error.reason))
        else:
            found.append(file)
    return found, skipped
