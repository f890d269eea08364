"""A part on a torch device that has its own memory: tensors are copied there, computed, and copied back."""

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
"""The dtype of floating-point tensors on the device, by precision; None: they keep their own."""


class TorchDevice(Engine):
    """torch on a device of the kind `where`. It uses only what all kinds of devices have."""

    where: ClassVar[str] = "cpu"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "float16", "bfloat16")
    layouts: ClassVar[tuple[str, ...]] = ("channels_last",)

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of floating-point tensors on the device; None: they keep their own."""
        return DTYPES[self.numbers]

    @property
    def kept(self) -> Kept:
        """How tensors are kept on the device."""
        return Kept(self.torch_device, self.dtype, self.layout == "channels_last")

    @property
    def torch_device(self) -> torch.device:
        """The device, as torch names it."""
        return torch.device(self.where)

    def wait(self) -> None:
        """Wait until the device has done all that it was asked for."""

    def prepare(self, part: fx.GraphModule) -> None:
        """Make sure that the device has started."""
        del part
        self.kept.there(torch.zeros(1))

    def moved(self, part: fx.GraphModule) -> fx.GraphModule:
        """A copy of the part on the device, its weights in this precision. InputError if they cannot be there."""
        try:
            return moved(part, self.kept)
        except Exception as error:
            raise InputError(self.name, f"the network's weights cannot be there: {first_line(error)}") from error

    def begun(self, part: fx.GraphModule, example: Sequence[Any]) -> Loaded:
        """The part on the device, after one run on `example`."""
        found = self.part(part)
        try:
            with torch.inference_mode():
                found(*example)
        except Exception as error:
            raise InputError(self.name, f"the network cannot be computed there: {first_line(error)}") from error
        return found

    def part(self, body: fx.GraphModule) -> Loaded:
        """What computes a part whose tensors are on the device."""
        return OnDevice(self, body)

    def call_s(self, function: Callable[[], object], repeats: int) -> list[float]:
        """The time (s) of each call, by the clock. The device has nothing to do before a call and after it."""
        found = []
        for _ in range(repeats):
            self.wait()
            begin = time.perf_counter()
            function()
            self.wait()
            found.append(time.perf_counter() - begin)
        return found


class OnDevice(Loaded):
    """Copies the arguments to the device, computes, and copies the results back: one after the other."""

    def __init__(self, engine: TorchDevice, body: fx.GraphModule) -> None:
        self._engine, self.body = engine, body

    def __call__(self, *args: Any) -> Any:
        """What the part returns; floating-point tensors are rounded to the engine's precision and come back as they were."""
        there = self.bring(args)
        self._engine.wait()
        begin = time.perf_counter()
        found = self.body(*there)
        self._engine.wait()
        self.compute_s = time.perf_counter() - begin
        return self.fetch(found)

    def bring(self, args: Sequence[Any]) -> Any:
        """The arguments on the device."""
        return tree_map_only(Tensor, self._engine.kept.there, tuple(args))

    def fetch(self, found: Any) -> Any:
        """The results in main memory. Floating-point tensors that the engine made shorter become float32."""
        short = self._engine.dtype

        def here(tensor: Tensor) -> Tensor:
            return tensor.to("cpu", torch.float32 if short is not None and tensor.dtype is short else None,
                             memory_format=self._engine.kept.back)  # fmt: skip

        return tree_map_only(Tensor, here, found)


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors of a nested structure, in order."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
