"""A part on a device of torch with memory of its own: tensors are brought there, computed on, and fetched."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves, tree_map_only

from lmos_opt.errors import InputError, first_line
from measurement.engines import Engine, Loaded
from measurement.engines.moving import Kept, moved

DTYPES = {"float32": None, "tf32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What numbers with fractions are kept as; None: as they are."""


class TorchDevice(Engine):
    """torch on one of its devices, `where`, without anything that only one kind of device has."""

    where: ClassVar[str] = "cpu"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "float16", "bfloat16")
    layouts: ClassVar[tuple[str, ...]] = ("channels_last",)

    @property
    def dtype(self) -> torch.dtype | None:
        """What numbers with fractions are kept as."""
        return DTYPES[self.numbers]

    @property
    def kept(self) -> Kept:
        """Where and how tensors are kept."""
        return Kept(self.torch_device, self.dtype, self.layout == "channels_last")

    @property
    def torch_device(self) -> torch.device:
        """torch's name of it."""
        return torch.device(self.where)

    def wait(self) -> None:
        """Return when all that was asked of the device is done."""

    def prepare(self, part: fx.GraphModule) -> None:
        """The device is there."""
        del part
        self.kept.there(torch.zeros(1))

    def moved(self, part: fx.GraphModule) -> fx.GraphModule:
        """The part there, its weights in this precision. InputError where that cannot be."""
        try:
            return moved(part, self.kept)
        except Exception as error:
            raise InputError(self.name, f"the network's weights cannot be there: {first_line(error)}") from error

    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part there, run once."""
        found = self.part(part)
        try:
            with torch.inference_mode():
                found(*example)
        except Exception as error:
            raise InputError(self.name, f"the network cannot be computed there: {first_line(error)}") from error
        return found

    def part(self, body: fx.GraphModule) -> Loaded:
        """What computes a part whose tensors are there already."""
        return OnDevice(self, body)

    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """By the clock, from a device at rest to a device at rest."""
        found = []
        for _ in range(repeats):
            self.wait()
            begin = time.perf_counter()
            function()
            self.wait()
            found.append(time.perf_counter() - begin)
        return found


class OnDevice(Loaded):
    """Brings the arguments, computes, fetches what comes of it, one after the other."""

    def __init__(self, engine: TorchDevice, body: fx.GraphModule) -> None:
        self._engine, self.body = engine, body

    def __call__(self, *args: Any) -> Any:
        """As the part itself, tensors with fractions rounded to the engine's precision and back."""
        there = self.bring(args)
        self._engine.wait()
        begin = time.perf_counter()
        found = self.body(*there)
        self._engine.wait()
        self.compute_s = time.perf_counter() - begin
        return self.fetch(found)

    def bring(self, args: Sequence[Any]) -> Any:
        """The arguments there."""
        return tree_map_only(Tensor, self._engine.kept.there, tuple(args))

    def fetch(self, found: Any) -> Any:
        """The results in main memory; numbers with fractions as float32, where the engine made them shorter."""
        short = self._engine.dtype

        def here(tensor: Tensor) -> Tensor:
            return tensor.to("cpu", torch.float32 if short is not None and tensor.dtype is short else None,
                             memory_format=self._engine.kept.back)  # fmt: skip

        return tree_map_only(Tensor, here, found)


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in a nested structure, in order."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
