"""A run's outputs as files: one for each image, and an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmos_opt.errors import InputError
from lmos_opt.files import write_atomically
from runner.watching.report import ImageResult


class SavedOutputs:
    """Writes every output tensor of each image, by its path, into `00000.safetensors` and so on; `close` writes `index.json`, which
    says what image each is of. Complex tensors are stored as pairs of numbers. InputError where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(str(folder), f"cannot be a folder: {(error.strerror or str(error)).lower()}") from None
        self._folder = folder
        self._items: list[dict[str, Any]] = []

    def add(self, result: ImageResult, outputs: Mapping[str, Tensor]) -> None:
        """Write the outputs of the next image."""
        from safetensors.torch import save

        name = f"{len(self._items):05d}.safetensors"
        plain = {path: (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).contiguous().clone()
                 for path, tensor in outputs.items()}  # fmt: skip
        write_atomically(self._folder / name, save(plain))
        said = {path: {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
                for path, tensor in outputs.items()}  # fmt: skip
        self._items.append({"file": result.file, "outputs": name, "class": result.class_, "tensors": said})

    def close(self) -> None:
        """Write the index."""
        text = json.dumps({"schema": "lmos.outputs/1", "items": self._items}, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self._folder / "index.json", text.encode())
