"""Arrays on the way: the bytes that the runner's own tensors give, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmos_edge.tensors import pack, read_headers, unpack
from measurement import codecs
from runner.wire import tensors

ARRAYS = {"a": np.linspace(-3, 9, 105, dtype=np.float32).reshape(1, 3, 5, 7), "b": np.arange(6).reshape(2, 3),
          "c": np.full((1, 4), 1e6, np.float32), "d": np.full((), 2.5, np.float32)}  # fmt: skip


@pytest.mark.parametrize("codec", ["raw", "fp16", "int8"])
def test_the_bytes_are_those_of_the_runners_tensors(codec: str) -> None:
    headers, parts = pack(ARRAYS, lambda _: codec)
    same = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    theirs, payload = tensors.pack(same, None if codec == "raw" else codecs.get(codec))
    assert headers == [header.model_dump(mode="json") for header in theirs]
    assert b"".join(parts) == b"".join(payload)


@pytest.mark.parametrize("codec", ["fp16", "int8"])
def test_what_has_no_numbers_travels_as_it_is(codec: str) -> None:
    odd = {"inf": np.array([np.inf], np.float32), "nan": np.array([np.nan], np.float32), "few": np.zeros(1, np.int32)}
    headers, _ = pack(odd, lambda _: codec)
    assert not any("encoded_bytes" in header for header in headers)


def test_outputs_of_any_strides_come_back() -> None:
    made = {"output.a": torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
            "output.b": torch.arange(5), "output.c": torch.empty(0, 3)}  # fmt: skip
    headers, payload = tensors.pack(made)
    described = [header.model_dump(mode="json") for header in headers]
    checked, n_bytes = read_headers(described)
    whole = b"".join(payload)
    assert n_bytes == len(whole)
    found = unpack(checked, memoryview(whole))
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in made.items())


@pytest.mark.parametrize("wrong", [
    {"dtype": "float31"}, {"shape": [2, 2]}, {"strides": [2]}, {"shape": [2**40]}, {"encoded_bytes": 1}, {"name": ""}, {"more": 1},
    {"shape": [-1]}, {"shape": "3"},
])  # fmt: skip
def test_headers_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    right = {"name": "output", "dtype": "float32", "shape": [3], "strides": [1]}
    assert read_headers([right])[1] == 12
    with pytest.raises(ValueError, match="tensor"):
        read_headers([{**right, **wrong}])
