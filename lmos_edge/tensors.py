"""Arrays as the protocol carries them: their headers and bytes, and back; encoded as the plan's codec says."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmos_edge.fields import Fields, many, of, whole
from lmos_edge.plans import DTYPES, MOST_TENSORS
from measurement.levels import Layout, encoded
from measurement.magnitudes import HALF
from runner.errors import LocalProtocolError, RemoteProtocolError
from runner.wire.protocol.turns import ALIGNMENT

MOST_DIMENSIONS = 16
LARGEST_PAYLOAD_BYTES = 2**30
_PADDING = memoryview(bytes(ALIGNMENT))
_BFLOAT16 = "bfloat16"
Array = npt.NDArray[Any]


def pack(arrays: Mapping[str, Array], codec_of: Callable[[str], str]) -> tuple[list[dict[str, Any]], list[memoryview]]:
    """Headers and parts of the payload, with padding between them. `codec_of` gives the codec of an array, by name.

    LocalProtocolError on a machine that is not little-endian.
    """
    if sys.byteorder != "little":
        raise LocalProtocolError("tensors travel in little endian order, which this machine does not have")
    headers, parts, end = [], list[memoryview](), 0
    for name, array in arrays.items():
        dense = np.ascontiguousarray(array).reshape(array.shape)
        header: dict[str, Any] = {"name": name, "dtype": array.dtype.name, "shape": list(array.shape),
                                  "strides": [math.prod(array.shape[k + 1 :]) for k in range(array.ndim)]}  # fmt: skip
        sent = _encoded(dense, codec_of(name))
        if sent is not None:
            header["encoded_bytes"] = sent.nbytes
        begin = -(-end // ALIGNMENT) * ALIGNMENT
        part = (dense if sent is None else sent).reshape(-1).view(np.uint8).data
        parts += [_PADDING[: begin - end], part]
        end = begin + part.nbytes
        headers.append(header)
    return headers, [part for part in parts if part.nbytes]


def _encoded(array: Array, codec: str) -> Array | None:
    """A contiguous array as the codec encodes it; None if it is sent raw."""
    if codec == "fp16" and array.dtype.name in {"float32", "float64"} and array.size:
        return array.astype(np.float16) if HALF.hold(float(array.min()), float(array.max())) else None
    if codec == "int8" and array.dtype.name in {"float32", "float64", "float16"} and Layout.of(array.shape).bytes < array.nbytes:
        return encoded(array.reshape(-1), array.shape)
    return None


def read_headers(value: Any) -> tuple[list[dict[str, Any]], int]:
    """A RESULT's tensors, each checked, and the length of their payload. ValueError for anything else."""
    headers = many(value, of(dict))
    problems: list[Any] = []
    names, end = set(), 0
    for header in headers:
        fields = Fields(header, problems)
        name = fields.text("name")
        dtype = fields.one_of("dtype", (*DTYPES, _BFLOAT16))
        shape, strides = (fields.take(key, "whole numbers", lambda v: many(v, whole)) for key in ("shape", "strides"))
        if problems or header.keys() - {"name", "dtype", "shape", "strides", "encoded_bytes"}:
            raise ValueError("no tensor that can be read")
        is_odd = name in names or header.get("encoded_bytes") is not None or not _is_dense(shape, strides)
        n_bytes = math.prod(shape) * _size(dtype)
        if is_odd or len(headers) > MOST_TENSORS or math.prod(max(n, 1) for n in shape) * _size(dtype) > LARGEST_PAYLOAD_BYTES:
            raise ValueError("no tensor that can be read")
        names.add(name)
        end = -(-end // ALIGNMENT) * ALIGNMENT + n_bytes
    return [*headers], end


def _size(dtype: str) -> int:
    return 2 if dtype == _BFLOAT16 else DTYPES[dtype]


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    if len(shape) != len(strides) or len(shape) > MOST_DIMENSIONS:
        return False
    expected = 1
    for stride, n in sorted((s, n) for s, n in zip(strides, shape, strict=True) if n != 1):
        if math.prod(shape) and stride != expected:
            return False
        expected *= n
    return True


def unpack(headers: Sequence[Mapping[str, Any]], payload: memoryview) -> dict[str, Array]:
    """The arrays, by name, as views of the payload. RemoteProtocolError for bfloat16, which numpy does not have."""
    found, end = {}, 0
    for header in headers:
        if header["dtype"] == _BFLOAT16:
            raise RemoteProtocolError(f"the output {header['name']!r} is of bfloat16, which numpy does not know")
        dtype, shape = np.dtype(header["dtype"]), tuple(header["shape"])
        begin, count = -(-end // ALIGNMENT) * ALIGNMENT, math.prod(shape)
        flat = np.frombuffer(payload, dtype, count, begin) if count else np.empty(0, dtype)
        strides = tuple(stride * dtype.itemsize for stride in header["strides"])
        found[header["name"]] = np.lib.stride_tricks.as_strided(flat, shape, strides) if count else np.empty(shape, dtype)
        end = begin + count * dtype.itemsize
    return found
