"""Inputs with the classes that are right for them, where somebody has said them.

A folder says them by folders in it, one a class (`cat/1.png`), or by a file `labels.csv` with the columns `file` and `class`; a
file of arrays by one more array, `labels`, of whole numbers. A class is its number among the network's outputs, or its name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmos_opt.errors import InputError, first_line, likely
from lmos_opt.plan import PlannedNetwork
from lmos_opt.units import counted, whole_of
from measurement.arrays import BROKEN
from measurement.networks.labels import names_of
from measurement.pictures.folders import SUFFIXES
from runner.images import Images, find_images, is_of_arrays

TABLE, ARRAY = "labels.csv", "labels"
"""The file of a folder, and the array of a file, that say what is right."""

Classes = frozenset[int]
"""The numbers of classes of one name: most names are one class's, some two classes'."""


@dataclass(frozen=True)
class Labelled:
    """Inputs, and for each its right classes (None: they are not known)."""

    images: Images
    right: tuple[Classes, ...] | None


def find_labelled(network: PlannedNetwork, path: Path | None) -> Labelled:
    """The inputs at a path, or the bundled pictures, with their right classes. Raises InputError as `find_images` does, and for a
    class that the network does not have, a table that cannot be read, or labels that do not match the inputs."""
    if path is None:
        return Labelled(find_images(network, None), None)
    if is_of_arrays(path):
        images = find_images(network, path)
        numbers = _of_arrays(path)
        if numbers is not None and len(numbers) != len(images):
            raise InputError(str(path), f"{ARRAY}: are {len(numbers)} for {counted(len(images), 'item')}; expected as many")
        return Labelled(images, None if numbers is None else tuple(frozenset((k,)) for k in numbers))
    if path.is_dir() and (path / TABLE).is_file():
        images = find_images(network, path)
        table = _table(path / TABLE)
        missing = [name for name in images.names if name not in table]
        if missing:
            raise InputError(str(path / TABLE), f"says no class of {missing[0]!r}; expected one for each picture of the folder")
        return Labelled(images, tuple(_classes(network, table[name], str(path / TABLE)) for name in images.names))
    if path.is_dir() and (folders := _folders(path)):
        found = [find_images(network, folder) for folder in folders]
        right = [_classes(network, folder.name, str(path)) for folder in folders]
        of_each = [one for classes, images in zip(right, found, strict=True) for one in [classes] * len(images)]
        return Labelled(_together(path, folders, found), tuple(of_each))
    return Labelled(find_images(network, path), None)


def _folders(path: Path) -> list[Path]:
    """The folders of classes, where pictures lie in these alone."""
    inside = sorted(path.iterdir())
    if any(one.suffix.lower() in SUFFIXES and one.is_file() for one in inside):
        return []
    return [one for one in inside if one.is_dir() and any(file.suffix.lower() in SUFFIXES for file in one.iterdir())]


def _together(path: Path, folders: Sequence[Path], found: Sequence[Images]) -> Images:
    places = [(images, k) for images in found for k in range(len(images))]
    names = [f"{folder.name}/{name}" for folder, images in zip(folders, found, strict=True) for name in images.names]
    return Images(f"{counted(len(names), 'picture')} of {path}, in {counted(len(folders), 'folder')}", names,
                  lambda k: places[k][0].load(places[k][1]), found[0].preprocessing)  # fmt: skip


def _classes(network: PlannedNetwork, text: str, where: str) -> Classes:
    names = names_of(network.labels)
    number = whole_of(text)
    if number is not None:
        if not names or number < len(names):
            return frozenset((number,))
        raise InputError(where, f"class {text} is none of the network's {len(names)}")
    if found := frozenset(k for k, name in enumerate(names) if name.casefold() == text.casefold()):
        return found
    if not names:
        raise InputError(where, f"class {text!r}: {network.name} has no names of classes; expected numbers, or say the names with "
                                "--labels")  # fmt: skip
    raise InputError(where, f"class {text!r} is none of the network's{likely(text, names)}")


def _table(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"cannot be read: {first_line(error)}") from None
    if not rows or not {"file", "class"} <= rows[0].keys():
        raise InputError(str(path), "has not the columns file and class; expected a line 'file,class' and a line a picture")
    return {str(row["file"]): str(row["class"] or "").strip() for row in rows}


def _of_arrays(path: Path) -> list[int] | None:
    """The array of labels; None if the file has none. It is one of whole numbers that are no less than 0."""
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                held = file[ARRAY] if ARRAY in file.files else None
        elif path.suffix.lower() == ".safetensors":
            from safetensors.numpy import load_file

            held = load_file(path).get(ARRAY)
        else:
            held = None
    except BROKEN as error:
        raise InputError(str(path), f"{ARRAY}: cannot be read: {first_line(error)}") from None
    if held is None:
        return None
    if held.ndim != 1 or held.dtype.kind not in "iu" or (held.size and held.min() < 0):
        raise InputError(str(path), f"{ARRAY}: is {'x'.join(map(str, held.shape))} {held.dtype}; expected N whole numbers from 0")
    return [int(k) for k in held]
