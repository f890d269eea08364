"""Inputs from a file of arrays: `.npy`, `.npz` or `.safetensors`, whose first dimension counts the items."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lmos_opt.errors import InputError, first_line
from lmos_opt.profile import TensorSpec

SUFFIXES = frozenset({".npy", ".npz", ".safetensors"})

_BROKEN = (OSError, ValueError, EOFError, KeyError, MemoryError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error)
"""What numpy raises on broken files."""


class _Array(NamedTuple):
    """An array of a file: its shape, its dtype by torch's name, and its k-th item."""

    shape: tuple[int, ...]
    dtype: str
    item: Callable[[int], Tensor]


class Items(NamedTuple):
    """The items of a file: how many they are, and the tensors of the k-th by the network's names for its inputs."""

    n: int
    load: Callable[[int], dict[str, Tensor]]


def open_arrays(path: Path, inputs: Mapping[str, TensorSpec]) -> Items:
    """The items of a file for a network with these inputs.

    Its arrays are called as the inputs, `input.` left out or not; what else it holds does not matter. An array has the shape of
    its input after the count of items; a batch of 1 may be left out. InputError, which names file and array, for a file that is
    broken, lacks an array, has another shape or dtype than the network takes, or other numbers of items.
    """
    try:
        arrays = _READERS[path.suffix.lower()](path, inputs)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(str(path), f"is no {path.suffix} file that can be read: {first_line(error)}") from None
    found = {name: _fitting(path, name, spec, arrays) for name, spec in inputs.items()}
    counts = {name: array.shape[0] for name, array in found.items()}
    n = min(counts.values())
    if n != max(counts.values()):
        raise InputError(str(path), "holds " + " and ".join(f"{k} of {name}" for name, k in counts.items()) + "; expected as many")
    if not n:
        raise InputError(str(path), "holds no items")

    def load(k: int) -> dict[str, Tensor]:
        try:
            return {name: array.item(k).reshape(inputs[name].shape).contiguous() for name, array in found.items()}
        except _BROKEN as error:  # the file was changed meanwhile
            raise InputError(f"{path}[{k}]", f"cannot be read: {first_line(error)}") from None

    return Items(n, load)


def _fitting(path: Path, name: str, spec: TensorSpec, arrays: Mapping[str, _Array]) -> _Array:
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


def _shapes(spec: TensorSpec) -> list[tuple[int, ...]]:
    """What an item may look like."""
    return [spec.shape, *([spec.shape[1:]] if spec.shape[:1] == (1,) else [])]


def _of_numpy(array: np.ndarray[Any, Any]) -> _Array:
    native = array.dtype.newbyteorder("=")
    return _Array(array.shape, native.name, lambda k: torch.from_numpy(np.array(array[k], native, order="C")))


def _npy(path: Path, inputs: Mapping[str, TensorSpec]) -> dict[str, _Array]:
    if len(inputs) != 1:
        taken = ", ".join(inputs)
        raise InputError(str(path), f"holds one array without a name; the network takes {taken}: use .npz or .safetensors")
    return {next(iter(inputs)): _of_numpy(np.load(path, mmap_mode="r", allow_pickle=False))}


def _npz(path: Path, inputs: Mapping[str, TensorSpec]) -> dict[str, _Array]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise InputError(str(path), "is no .npz file: no zip archive")
    wanted = {name for long in inputs for name in (long, long.removeprefix("input."))}
    with np.load(path, allow_pickle=False) as file:
        unused = _Array((), "", lambda k: torch.empty(0))
        return {name: _of_numpy(file[name]) if name in wanted else unused for name in file.files}


def _safetensors(path: Path, inputs: Mapping[str, TensorSpec]) -> dict[str, _Array]:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
        return {name: _of_file(file, name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise InputError(str(path), f"is no .safetensors file that can be read: {first_line(error)}") from None


def _of_file(file: Any, name: str) -> _Array:
    part = file.get_slice(name)
    shape = tuple(part.get_shape())
    if not shape:
        return _Array(shape, _dtype(file.get_tensor(name)), lambda k: file.get_tensor(name))
    return _Array(shape, _dtype(part[:0]), lambda k: part[k : k + 1][0])


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


_READERS: dict[str, Callable[[Path, Mapping[str, TensorSpec]], dict[str, _Array]]] = {
    ".npy": _npy, ".npz": _npz, ".safetensors": _safetensors,
}  # fmt: skip
