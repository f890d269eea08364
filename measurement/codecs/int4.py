"""`int4`: 4 bits an element, in 16 steps from the least of 64 values in a row to their largest (`measurement.packing`): with these
ends 0.141 of float32's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from measurement.codecs import Codec, CodecError, Described, elements
from measurement.packing import Groups

if TYPE_CHECKING:
    from torch import Tensor

_FLOATS = ("float32", "float64", "float16", "bfloat16")


class Int4(Codec):
    """Takes numbers with a fraction. Tensors with an infinity, a NaN or a value beyond half precision's range, those whose values
    are all so small that it would lose them, and those that would not shrink, travel as they are."""

    def sent_bytes(self, tensor: Described) -> int:
        """Half a byte for each element, and 4 bytes for each group."""
        return min(Groups.of(tensor.shape).bytes, tensor.bytes) if tensor.dtype in _FLOATS else tensor.bytes

    def encode(self, name: str, tensor: Tensor) -> memoryview | None:
        """All lows, all steps, all levels, two a byte."""
        del name
        groups = Groups.of(tuple(tensor.shape))
        if str(tensor.dtype).removeprefix("torch.") not in _FLOATS or groups.bytes >= tensor.nbytes:
            return None
        found = groups.encoded(elements(tensor))
        return None if found is None else found.data

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The values of lows, steps and levels, all of them finite. CodecError for a wrong length, or a wrong low or step."""
        import torch

        groups = Groups.of(tensor.shape)
        if tensor.dtype not in _FLOATS or payload.nbytes != groups.bytes:
            raise CodecError(f"{payload.nbytes} bytes are not the length of {tensor.dtype}{list(tensor.shape)} in 4 bits")
        values = groups.decoded(np.frombuffer(payload, np.uint8))
        if values is None:
            raise CodecError("a group's least value or step is no number, or negative")
        dtype: torch.dtype = getattr(torch, tensor.dtype)
        return torch.from_numpy(values).to(dtype)


CODEC = Int4
