"""`fp16`: half precision, half the bytes of float32. Values keep 11 bits, about 3 decimal digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measurement.codecs import Codec, CodecError, Described
from measurement.magnitudes import HALF

if TYPE_CHECKING:
    from torch import Tensor

_WIDER = ("float32", "float64")

class Fp16(Codec):
    """Takes float32 and float64. Tensors with an infinity, a NaN or a value beyond half precision's range, and those whose values
    are all so small that it would lose them, travel as they are."""

    def sent_bytes(self, tensor: Described) -> int:
        """Two bytes an element."""
        return 2 * _elements(tensor) if tensor.dtype in _WIDER else tensor.bytes

    def encode(self, name: str, tensor: Tensor) -> memoryview | None:
        """The elements in half precision, rounded to the nearest."""
        import torch

        del name
        if str(tensor.dtype).removeprefix("torch.") not in _WIDER or tensor.numel() == 0:
            return None
        low, high = torch.aminmax(tensor)
        if not HALF.hold(float(low), float(high)):
            return None
        halves = tensor.flatten().to(torch.float16)
        return halves.view(torch.uint8).numpy().data

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The halves of the payload, widened to the tensor's dtype. CodecError unless there is one for each element."""
        import torch

        if tensor.dtype not in _WIDER or payload.nbytes != 2 * _elements(tensor):
            raise CodecError(f"{payload.nbytes} bytes are not the length of {tensor.dtype}{list(tensor.shape)} in half precision")
        dtype: torch.dtype = getattr(torch, tensor.dtype)
        return torch.frombuffer(payload, dtype=torch.float16).to(dtype)


def _elements(tensor: Described) -> int:
    n = 1
    for size in tensor.shape:
        n *= size
    return n


CODEC = Fp16
