"""`raw`: tensors as they lie in memory. Nothing is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measurement.codecs import Codec, CodecError, Described

if TYPE_CHECKING:
    from torch import Tensor


class Raw(Codec):
    """Leaves every tensor as it is."""

    is_lossless = True

    def sent_bytes(self, tensor: Described) -> int:
        """The tensor's own bytes."""
        return tensor.bytes

    def encode(self, name: str, tensor: Tensor) -> None:
        """None: the tensor is sent as it is."""
        del name, tensor

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """CodecError: raw tensors are never encoded."""
        raise CodecError("raw tensors are not encoded")


CODEC = Raw
