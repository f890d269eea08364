"""A run's outputs as files: one for each image, and an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmos_opt.processes.writing import make_folder, write_atomically
from runner.watching.report import ImageResult


class SavedOutputs:
    """Writes every output tensor of each image, by its path, into `00000.safetensors` and so on; `close` writes `index.json`, which
    says what image each is of. Complex tensors are stored as pairs of numbers. InputError if the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self._items: list[dict[str, Any]] = []

    def add(self, result: ImageResult, outputs: Mapping[str, Tensor]) -> None:
        """Write the outputs of the next image."""
        from safetensors.torch import save

        name = f"{len(self._items):05d}.safetensors"
        plain = {path: _plain(tensor) for path, tensor in outputs.items()}
        write_atomically(self._folder / name, save(plain))
        said = {path: {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
                for path, tensor in outputs.items()}  # fmt: skip
        self._items.append({"file": result.file, "outputs": name, "class": result.class_, "tensors": said})

    def close(self) -> None:
        """Write the index."""
        text = json.dumps({"schema": "lmos.outputs/1", "items": self._items}, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self._folder / "index.json", text.encode())


def _plain(tensor: Tensor) -> Tensor:
    """A copy with memory of its own, its numbers side by side; complex ones as pairs."""
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return real.clone(memory_format=torch.contiguous_format)
