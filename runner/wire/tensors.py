"""Tensors to payloads and back, without copying where they lie densely: the same bits, shape, strides and dtype.

Under codecs, what theirs makes of them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lmos_opt.tensors import DTYPE_BYTES
from measurement.codec_choice import Choice
from measurement.codecs import Codec, CodecError
from runner.errors import LocalProtocolError
from runner.wire.protocol.headers import LARGEST_PAYLOAD_BYTES, TensorHeader, Tensors, the_same
from runner.wire.protocol.turns import ALIGNMENT

DTYPES: dict[str, torch.dtype] = {
    "float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16,
    "int64": torch.int64, "int32": torch.int32, "int16": torch.int16, "int8": torch.int8, "uint8": torch.uint8,
    "bool": torch.bool, "complex64": torch.complex64, "complex128": torch.complex128,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_OF_NUMPY = {np.dtype(name): name for name in ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8")}
"""What torch and numpy exchange without a copy, by numpy's dtypes."""
_IN_NUMPY = {name: dtype for dtype, name in _OF_NUMPY.items()}
_HEADERS = 4096
"""That are remembered: a network's tensors look the same each time, and to check a header takes longer than to send it."""
_PADDING = memoryview(bytes(ALIGNMENT))


Look = tuple[str, Any, tuple[int, ...], tuple[int, ...]]
"""What numpy says of a tensor: its name, numpy's dtype, its shape and its strides in bytes."""


class Encoded(NamedTuple):
    """A tensor as it travels: its header, and its bytes."""

    header: TensorHeader
    part: memoryview


NOTHING_ENCODED: Mapping[str, Encoded] = MappingProxyType({})


def describe(name: str, tensor: Tensor) -> TensorHeader:
    """The header of a tensor whose elements lie densely. LocalProtocolError for a dtype that has no name, and for one that is
    larger than what is carried."""
    if tensor.dtype not in _NAMES:
        raise LocalProtocolError(f"tensor {name!r} has dtype {tensor.dtype}, which cannot be sent")
    return _header(name, _NAMES[tensor.dtype], tuple(tensor.shape), tensor.stride())


@lru_cache(_HEADERS)
def _header(name: str, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorHeader:
    n_bytes = math.prod(shape) * DTYPE_BYTES[dtype]
    if n_bytes > LARGEST_PAYLOAD_BYTES:
        raise LocalProtocolError(f"tensor {name!r} has {n_bytes} bytes; at most {LARGEST_PAYLOAD_BYTES} can be sent")
    return TensorHeader(name=name, dtype=dtype, shape=shape, strides=strides)


def pack(tensors: Mapping[str, Tensor], codec: Choice | None = None,
         encoded: Mapping[str, Encoded] = NOTHING_ENCODED) -> tuple[Tensors, list[memoryview]]:  # fmt: skip
    """Headers and payload parts (with the padding between them) of tensors in main memory.

    A view into the tensor's own memory wherever its elements lie densely, in any order of dimensions; a copy otherwise.
    What its `codec` encodes are its bytes; what came `encoded` goes on as it came.
    """
    if sys.byteorder != "little":
        raise LocalProtocolError("tensors travel in little endian order, which this machine does not have")
    looks: list[Look | TensorHeader] = []  # to call list[...] takes longer than all the rest
    parts: list[memoryview] = []
    for name, tensor in tensors.items():
        look, part = (encoded.get(name) or (_plain(name, tensor) if codec is None else None)
                      or _sent(name, _dense(tensor), None if codec is None else codec.of(name)))  # fmt: skip
        looks.append(look)
        parts.append(part)
    headers = _headers(tuple(looks))
    return headers, parts if len(parts) == 1 and parts[0] else _padded(headers, parts)


def _padded(headers: Tensors, parts: list[memoryview]) -> list[memoryview]:
    """Each tensor's bytes, and what lies before where it begins."""
    found, end = list[memoryview](), 0
    for begin, part in zip(headers.begins, parts, strict=True):
        found += [_PADDING[: begin - end], part]
        end = begin + part.nbytes
    return [part for part in found if part.nbytes]


def unpack(headers: Tensors, payload: memoryview, codec: Choice | None = None) -> dict[str, Tensor]:
    """The tensors over the payload's memory, which they keep alive; what a codec encoded has memory of its own.

    Raises CodecError for bytes that are not what the codec's other side would have sent.
    """
    return unpack_read(headers, payload, codec, [header.name for header in headers])[0]


def unpack_read(headers: Tensors, payload: memoryview, codec: Choice | None,
                read: Collection[str]) -> tuple[dict[str, Tensor], dict[str, Encoded]]:  # fmt: skip
    """As `unpack`, and what came encoded as it came; of that only what is `read` here is decoded, the others have shapes alone."""
    tensors, encoded = {}, {}
    for header, begin in zip(headers, headers.begins, strict=True):
        if header.encoded_bytes is not None:
            encoded[header.name] = Encoded(header, payload[begin : begin + header.encoded_bytes])
            if codec is not None and header.name not in read:
                tensors[header.name] = torch.empty_strided(header.shape, header.strides, dtype=DTYPES[header.dtype], device="meta")
                continue
        tensors[header.name] = _tensor(header, payload, begin, None if codec is None else codec.of(header.name))
    return tensors, encoded


def _sent(name: str, tensor: Tensor, codec: Codec | None) -> Encoded:
    """A dense tensor's header, and its bytes."""
    if codec is not None:
        laid_out = tensor if codec.is_lossless else tensor.contiguous()
        encoded = codec.encode(name, laid_out)
        if encoded is not None and 0 < (part := memoryview(encoded)).nbytes < laid_out.nbytes:
            return Encoded(describe(name, laid_out).model_copy(update={"encoded_bytes": part.nbytes}), part)
    return Encoded(describe(name, tensor), _bytes(tensor))


def _dense(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.device.type != "cpu":
        tensor = tensor.cpu()
    if tensor.numel() == 0:
        return torch.empty(tensor.shape, dtype=tensor.dtype)
    layout = sorted((stride, n) for stride, n in zip(tensor.stride(), tensor.shape, strict=True) if n != 1)
    expected = all(stride * n == larger for (stride, n), (larger, _) in pairwise(layout))
    starts = not layout or layout[0][0] == 1
    return tensor if expected and starts else tensor.contiguous()


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a dense tensor."""
    flat = tensor.as_strided((tensor.numel(),), (1,))
    return flat.view(torch.uint8).numpy().data


def _plain(name: str, tensor: Tensor) -> tuple[Look, memoryview] | None:
    """A tensor whose memory is what is sent, and numpy gives it, as most are; None for others. numpy is asked, since each
    question to torch takes as long as all of these."""
    try:
        array = tensor.numpy()
        dtype = array.dtype
        if dtype not in _OF_NUMPY or not array.size:
            return None
        return (name, dtype, array.shape, array.strides), array.data.cast("B")
    except (RuntimeError, TypeError):  # elsewhere, not as it is read, or in another order
        return None


@lru_cache(_HEADERS)
def _headers(looks: tuple[Look | TensorHeader, ...]) -> Tensors:
    return the_same(tuple([look if isinstance(look, TensorHeader) else _seen(*look) for look in looks]))


def _seen(name: str, kind: np.dtype[Any], shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorHeader:
    dtype = _OF_NUMPY[kind]
    return _header(name, dtype, shape, tuple([stride // DTYPE_BYTES[dtype] for stride in strides]))


def _tensor(header: TensorHeader, payload: memoryview, begin: int, codec: Codec | None) -> Tensor:
    if header.encoded_bytes is not None:
        if codec is None:
            raise CodecError(f"tensor {header.name!r} comes encoded, and tensors travel as they are here")
        try:
            flat = codec.decode(payload[begin : begin + header.encoded_bytes], header)
        except CodecError as error:
            raise CodecError(f"tensor {header.name!r}: {error}") from None
        if flat.numel() != header.elements or flat.dtype is not DTYPES[header.dtype]:
            raise CodecError(f"tensor {header.name!r}: {flat.numel()} elements of {flat.dtype}, expected {header.elements}")
        return flat.as_strided(header.shape, header.strides)
    if (kind := _IN_NUMPY.get(header.dtype)) is not None and header.bytes:  # one step in place of torch's two
        array: np.ndarray[Any, Any] = np.ndarray(header.shape, kind, payload, begin, header.byte_strides)
        return torch.from_numpy(array)
    dtype = DTYPES[header.dtype]
    if header.bytes == 0:
        return torch.empty_strided(header.shape, header.strides, dtype=dtype)
    flat = torch.frombuffer(payload, dtype=dtype, count=header.elements, offset=begin)
    return flat.as_strided(header.shape, header.strides)
