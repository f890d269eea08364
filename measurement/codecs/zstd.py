"""`zstd`: lossless. Zstandard, of the bytes in the order in which they compress better: as they lie, or the elements' first
bytes, then all their second ones, and so on.

After a ReLU whole elements are zero, and the bytes as they lie are shorter by up to a fifth; where no element is (a
convolution's own output), ordered by their place in the element they are shorter by a tenth. Both is tried on a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from measurement.codecs import Codec, CodecError, Described
from measurement.frames import Frames

if TYPE_CHECKING:
    from torch import Tensor

_SAMPLE_BYTES = 2**15
_AS_THEY_LIE, _BY_PLACE = 0, 1

Bytes = npt.NDArray[np.uint8]


class Zstd(Codec):
    """Takes every tensor; one that would not shrink travels as it is."""

    is_lossless = True
    needs = "zstandard"

    def __init__(self, name: str, argument: str | None) -> None:
        super().__init__(name, argument)
        self._frames = Frames()

    def sent_bytes(self, tensor: Described) -> None:
        """None: the bytes depend on the tensor's numbers."""
        del tensor

    def encode(self, name: str, tensor: Tensor) -> bytes | None:
        """A byte that says in which order, then a frame that says how many."""
        import torch

        del name
        if tensor.numel() == 0:
            return None
        size = tensor.element_size()
        lying: Bytes = tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy()
        by_place = size > 1 and self._is_shorter_by_place(lying, size)
        frame = self._frames.compressed(_by_place(lying, size) if by_place else lying)
        encoded = (b"\1" if by_place else b"\0") + frame
        return encoded if len(encoded) < len(lying) else None

    def decode(self, payload: memoryview, tensor: Described) -> Tensor:
        """The tensor's bytes. CodecError for a frame of another length; its header is checked before anything is decompressed."""
        import torch

        order, frame = payload[0] if payload.nbytes else None, payload[1:]
        if order not in (_AS_THEY_LIE, _BY_PLACE):
            raise CodecError(f"an order {order} of bytes is not known")
        try:
            found = self._frames.decompressed(frame, tensor.bytes)
        except ValueError as error:
            raise CodecError(str(error)) from None
        dtype: torch.dtype = getattr(torch, tensor.dtype)
        size = dtype.itemsize
        lying = np.empty(len(found), np.uint8)
        read = np.frombuffer(found, np.uint8)
        lying.reshape(-1, size)[...] = read.reshape(size, -1).T if order == _BY_PLACE else read.reshape(-1, size)
        return torch.from_numpy(lying).view(dtype)

    def _is_shorter_by_place(self, lying: Bytes, size: int) -> bool:
        """By a sample from the middle."""
        begin = max(len(lying) // 2 - _SAMPLE_BYTES // 2, 0) // size * size
        sample = lying[begin : begin + _SAMPLE_BYTES]
        compress = self._frames.compressed
        return len(compress(_by_place(sample, size))) < len(compress(sample))


def _by_place(lying: Bytes, size: int) -> Bytes:
    return np.ascontiguousarray(lying.reshape(-1, size).T)


CODEC = Zstd
