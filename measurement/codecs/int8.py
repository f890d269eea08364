"""`int8`: 8 bits an element, from each channel's least value to its largest (`measurement.levels`): a quarter of float32's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from measurement.codecs import Codec, CodecError, Described, elements
from measurement.levels import Layout, decoded, encoded

if TYPE_CHECKING:
    from torch import Tensor

_FLOATS = ("float32", "float64", "float16", "bfloat16")


class Int8(Codec):
    """Takes numbers with a fraction. Tensors with an infinity or a NaN, those whose values are all next to zero (`STEPS`), and
    those that would not shrink, travel as they are."""

    def sent_bytes(self, tensor: Described) -> int:
        """A byte for each element, and 8 bytes for each group."""
        if tensor.dtype not in _FLOATS:
            return tensor.bytes
        return min(Layout.of(tensor.shape).bytes, tensor.bytes)

    def encode(self, name: str, tensor: Tensor) -> memoryview | None:
        """All lows, all steps, all levels."""
        del name
        shape = tuple(tensor.shape)
        if str(tensor.dtype).removeprefix("torch.") not in _FLOATS or Layout.of(shape).bytes >= tensor.nbytes:
            return None
        found = encoded(elements(tensor), shape)
        return None if found is None else found.data

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The values of lows, steps and levels, all of them finite. CodecError for a wrong length, or a wrong low or step."""
        import torch

        if tensor.dtype not in _FLOATS or payload.nbytes != Layout.of(tensor.shape).bytes:
            raise CodecError(f"{payload.nbytes} bytes are not the length of {tensor.dtype}{list(tensor.shape)} in 8 bits")
        values = decoded(np.frombuffer(payload, np.uint8), tensor.shape)
        if values is None:
            raise CodecError("a channel's least value or step is no number, or too large")
        dtype: torch.dtype = getattr(torch, tensor.dtype)
        return torch.from_numpy(values).to(dtype)


CODEC = Int8
