"""Inputs from a file of arrays, whose first dimension counts the items: `.npy` and `.npz`, and what other readers are given."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lmos_opt.errors import InputError, first_line

SUFFIXES = frozenset({".npy", ".npz", ".safetensors"})
"""Of files that hold arrays."""
BROKEN = (OSError, ValueError, EOFError, KeyError, MemoryError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error)
"""What numpy raises on broken files."""


class Described(Protocol):
    """What is known of an input (`lmos_opt.tensors.TensorSpec`)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions, with the batch's."""

    @property
    def dtype(self) -> str:
        """Its elements' type, as torch names it."""


class HeldArray(NamedTuple):
    """An array of a file: its shape, its dtype by torch's name, and its k-th item, a numpy array or a tensor."""

    shape: tuple[int, ...]
    dtype: str
    item: Callable[[int], Any]


class Items(NamedTuple):
    """The items of a file: how many they are, and the arrays of the k-th by the network's names for its inputs."""

    n: int
    load: Callable[[int], dict[str, Any]]


Reader = Callable[[Path, Mapping[str, Described]], dict[str, HeldArray]]


def open_items(path: Path, inputs: Mapping[str, Described], readers: Mapping[str, Reader]) -> Items:
    """The items of a file for a network with these inputs, read by what `readers` has for its suffix.

    Its arrays are called as the inputs, `input.` left out or not; what else it holds does not matter. An array has the shape of
    its input after the count of items; a batch of 1 may be left out. InputError, which names file and array, for a file that is
    broken, lacks an array, has another shape or dtype than the network takes, or other numbers of items.
    """
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(str(path), f"is no file of arrays that can be read here; these are {', '.join(sorted(readers))}")
    try:
        arrays = reader(path, inputs)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(str(path), f"is no {path.suffix} file that can be read: {first_line(error)}") from None
    found = {name: _fitting(path, name, spec, arrays) for name, spec in inputs.items()}
    counts = {name: array.shape[0] for name, array in found.items()}
    n = min(counts.values())
    if n != max(counts.values()):
        raise InputError(str(path), "holds " + " and ".join(f"{k} of {name}" for name, k in counts.items()) + "; expected as many")
    if not n:
        raise InputError(str(path), "holds no items")

    def load(k: int) -> dict[str, Any]:
        try:
            return {name: array.item(k).reshape(inputs[name].shape) for name, array in found.items()}
        except BROKEN as error:  # the file was changed meanwhile
            raise InputError(f"{path}[{k}]", f"cannot be read: {first_line(error)}") from None

    return Items(n, load)


def _fitting(path: Path, name: str, spec: Described, arrays: Mapping[str, HeldArray]) -> HeldArray:
    short = name.removeprefix("input.")
    array = arrays.get(name) or arrays.get(short)
    if array is None:
        held = ", ".join(sorted(arrays)[:8]) or "nothing"
        also = f" or {short!r}" if short != name else ""
        raise InputError(str(path), f"has no array {name!r}{also}, which the network takes; it holds {held}")
    if array.dtype != spec.dtype or array.shape[1:] not in _shapes(spec):
        is_, taken = ("x".join(map(str, shape)) for shape in (array.shape, ("N", *_shapes(spec)[-1])))
        raise InputError(str(path), f"{short}: is {is_ or 'one number'} {array.dtype}; the network takes {taken} {spec.dtype}, "
                                    "N items")  # fmt: skip
    return array


def _shapes(spec: Described) -> list[tuple[int, ...]]:
    """What an item may look like."""
    return [spec.shape, *([spec.shape[1:]] if spec.shape[:1] == (1,) else [])]


def _of_numpy(array: npt.NDArray[Any]) -> HeldArray:
    native = array.dtype.newbyteorder("=")
    return HeldArray(array.shape, native.name, lambda k: np.array(array[k], native, order="C"))


def _npy(path: Path, inputs: Mapping[str, Described]) -> dict[str, HeldArray]:
    if len(inputs) != 1:
        taken = ", ".join(inputs)
        raise InputError(str(path), f"holds one array without a name; the network takes {taken}: use .npz or .safetensors")
    return {next(iter(inputs)): _of_numpy(np.load(path, mmap_mode="r", allow_pickle=False))}


def _npz(path: Path, inputs: Mapping[str, Described]) -> dict[str, HeldArray]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise InputError(str(path), "is no .npz file: no zip archive")
    wanted = {name for long in inputs for name in (long, long.removeprefix("input."))}
    with np.load(path, allow_pickle=False) as file:
        unused = HeldArray((), "", lambda k: np.empty(0))
        return {name: _of_numpy(file[name]) if name in wanted else unused for name in file.files}


NUMPYS: Mapping[str, Reader] = {".npy": _npy, ".npz": _npz}
"""What numpy alone reads."""
