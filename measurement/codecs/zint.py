"""`zint:BITS`: the steps of `int8`, or of fewer bits (2 to 8), and Zstandard of them: few bytes where many steps are alike, as they
are after a ReLU. A step is a byte before that, whatever the bits: an entropy coder makes of it what it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmos_opt.errors import InputError
from measurement.codecs import Codec, CodecError, Described, elements
from measurement.frames import Frames
from measurement.levels import Layout, decoded, encoded

if TYPE_CHECKING:
    from torch import Tensor

_FLOATS = ("float32", "float64", "float16", "bfloat16")
_BITS = ("2", "3", "4", "5", "6", "7", "8")


class Zint(Codec):
    """Takes numbers with a fraction. Tensors with an infinity or a NaN, those whose values are all next to zero (`STEPS`), and
    those that would not shrink, travel as they are."""

    usual = ("8", "6", "4")
    needs = "zstandard"

    def __init__(self, name: str, argument: str | None) -> None:
        if argument not in _BITS:
            raise InputError("codec", f"{name}{'' if argument is None else ':' + argument}: expected 2 to 8 bits, as in {name}:6")
        self.name = f"{name}:{argument}"
        self._top = 2 ** int(argument) - 1
        self._frames = Frames()

    def sent_bytes(self, tensor: Described) -> int | None:
        """None: the bytes depend on the tensor's numbers; those of other tensors than it takes are their own."""
        return None if tensor.dtype in _FLOATS and tensor.bytes else tensor.bytes

    def encode(self, name: str, tensor: Tensor) -> bytes | None:
        """A frame of all lows, all steps, all levels."""
        del name
        if str(tensor.dtype).removeprefix("torch.") not in _FLOATS or tensor.numel() == 0:
            return None
        found = encoded(elements(tensor), tuple(tensor.shape), self._top)
        if found is None:
            return None
        frame = self._frames.compressed(found)
        return frame if len(frame) < tensor.nbytes else None

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The values of lows, steps and levels, all of them finite. CodecError for a wrong frame, or a wrong low or step."""
        import torch

        if tensor.dtype not in _FLOATS:
            raise CodecError(f"{tensor.dtype}{list(tensor.shape)} does not travel in levels")
        try:
            found = self._frames.decompressed(payload, Layout.of(tensor.shape).bytes)
        except ValueError as error:
            raise CodecError(str(error)) from None
        values = decoded(np.frombuffer(found, np.uint8), tensor.shape)
        if values is None:
            raise CodecError("a channel's least value or step is no number, or too large")
        dtype: torch.dtype = getattr(torch, tensor.dtype)
        return torch.from_numpy(values).to(dtype)


CODEC = Zint
