"""Inputs from a file of arrays: `.npy`, `.npz` or `.safetensors`, whose first dimension counts the items, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmos_opt.errors import InputError, first_line
from lmos_opt.profile import TensorSpec
from measurement.arrays import NUMPYS, SUFFIXES, Described, HeldArray, Items, open_items

__all__ = ["SUFFIXES", "Items", "open_arrays"]


def open_arrays(path: Path, inputs: Mapping[str, TensorSpec]) -> Items:
    """The items of a file for a network with these inputs, as contiguous tensors. Raises what `measurement.arrays.open_items`
    raises."""
    items = open_items(path, inputs, {**NUMPYS, ".safetensors": _safetensors})
    return Items(items.n, lambda k: {name: _tensor(item) for name, item in items.load(k).items()})


def _tensor(item: Any) -> Tensor:
    return (item if isinstance(item, Tensor) else torch.from_numpy(item)).contiguous()


def _safetensors(path: Path, inputs: Mapping[str, Described]) -> dict[str, HeldArray]:
    from safetensors import SafetensorError, safe_open

    del inputs
    try:
        file = safe_open(path, framework="pt")
        return {name: _of_file(file, name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise InputError(str(path), f"is no .safetensors file that can be read: {first_line(error)}") from None


def _of_file(file: Any, name: str) -> HeldArray:
    part = file.get_slice(name)
    shape = tuple(part.get_shape())
    if not shape:
        return HeldArray(shape, _dtype(file.get_tensor(name)), lambda k: file.get_tensor(name))
    return HeldArray(shape, _dtype(part[:0]), lambda k: part[k : k + 1][0])


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
