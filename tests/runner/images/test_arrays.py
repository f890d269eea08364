"""Inputs from files of arrays."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lmos_opt import InputError
from lmos_opt.profile import TensorSpec
from runner.images.arrays import open_arrays

PICTURE = {"input": TensorSpec(shape=(1, 3, 4, 5), dtype="float32")}
WORDS = {"input.ids": TensorSpec(shape=(1, 7), dtype="int64"), "input.mask": TensorSpec(shape=(1, 7), dtype="bool")}
VALUES = np.arange(6 * 60, dtype=np.float32).reshape(6, 3, 4, 5)


@pytest.mark.parametrize("form", ["plain", "with a batch of 1", "big-endian", "Fortran order"])
def test_the_kth_item_of_a_npy_file_is_what_was_saved(tmp_path: Path, form: str) -> None:
    array = {"plain": VALUES, "with a batch of 1": VALUES[:, None], "big-endian": VALUES.astype(">f4"),
             "Fortran order": np.asfortranarray(VALUES)}[form]  # fmt: skip
    np.save(tmp_path / "x.npy", array)
    items = open_arrays(tmp_path / "x.npy", PICTURE)
    assert items.n == 6
    found = items.load(4)["input"]
    assert torch.equal(found, torch.from_numpy(VALUES[4:5]))
    assert found.is_contiguous()


@pytest.mark.parametrize("names", [("input.ids", "input.mask"), ("ids", "mask")])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_several_inputs_go_by_their_names(tmp_path: Path, suffix: str, names: tuple[str, str]) -> None:
    ids, mask = np.arange(21).reshape(3, 7), np.arange(21).reshape(3, 7) % 2 == 0
    arrays = {names[0]: ids, names[1]: mask, "labels": np.zeros(5)}
    if suffix == ".npz":
        np.savez(tmp_path / "x.npz", **arrays)
    else:
        save_file({name: torch.from_numpy(array) for name, array in arrays.items()}, tmp_path / "x.safetensors")
    items = open_arrays(tmp_path / f"x{suffix}", WORDS)
    assert items.n == 3
    found = items.load(2)
    assert torch.equal(found["input.ids"], torch.from_numpy(ids[2:]))
    assert torch.equal(found["input.mask"], torch.from_numpy(mask[2:]))


def test_half_precision_comes_from_safetensors(tmp_path: Path) -> None:
    values = torch.randn(2, 4).bfloat16()
    save_file({"input": values}, tmp_path / "x.safetensors")
    items = open_arrays(tmp_path / "x.safetensors", {"input": TensorSpec(shape=(1, 4), dtype="bfloat16")})
    assert torch.equal(items.load(1)["input"], values[1:])


def test_an_input_without_a_batch_is_an_item(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(8, dtype=np.float32).reshape(2, 4))
    items = open_arrays(tmp_path / "x.npy", {"input": TensorSpec(shape=(4,), dtype="float32")})
    assert items.load(1)["input"].tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize(("dtype", "shape"), [("float16", (1, 4)), ("uint8", (1, 4)), ("int32", (4,)), ("bool", (1, 4)),
                                              ("float64", ()), ("int64", ()), ("float32", (1, 0)), ("bool", (0,))])  # fmt: skip
def test_items_of_every_dtype_without_dimensions_and_without_elements(
    tmp_path: Path, suffix: str, dtype: str, shape: tuple[int, ...]
) -> None:
    array = (np.arange(3 * np.prod(shape, dtype=int)).reshape(3, *shape) % 5).astype(dtype)
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".npz":
        np.savez(path, input=array)
    else:
        save_file({"input": torch.from_numpy(array)}, path)
    items = open_arrays(path, {"input": TensorSpec.model_validate({"shape": shape, "dtype": dtype})})
    assert items.n == 3
    found = items.load(2)["input"]
    assert (found.shape, found.dtype) == (shape, getattr(torch, dtype))
    assert torch.equal(found, torch.from_numpy(array)[2])


def test_a_long_file_is_not_read_into_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2000, 3, 40, 50), np.float32))  # 48 MB
    tracemalloc.start()
    items = open_arrays(tmp_path / "x.npy", {"input": TensorSpec(shape=(1, 3, 40, 50), dtype="float32")})
    items.load(1999)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(("arrays", "message"), [
    ({"x": VALUES}, "has no array 'input', which the network takes; it holds x"),
    ({"input": VALUES.astype(np.float64)}, "input: is 6x3x4x5 float64; the network takes Nx3x4x5 float32, N items"),
    ({"input": VALUES[:, :, :3]}, "input: is 6x3x3x5 float32; the network takes Nx3x4x5 float32, N items"),
    ({"input": np.float32(1)}, "input: is one number float32; the network takes"),
    ({"input": VALUES[:0]}, "holds no items"),
    ({"input": np.array([{}], object)}, "is no .npz file that can be read: ValueError: Object arrays cannot be loaded"),
])  # fmt: skip
def test_a_wrong_name_shape_or_type_is_one_line(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError) as refused:
        open_arrays(tmp_path / "x.npz", PICTURE)
    assert str(refused.value).startswith(f"{tmp_path}/x.npz: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_arrays_of_other_lengths_and_without_names_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=np.zeros((3, 7), int), mask=np.zeros((4, 7), bool))
    with pytest.raises(InputError, match=r"holds 3 of input.ids and 4 of input.mask; expected as many"):
        open_arrays(tmp_path / "x.npz", WORDS)
    np.save(tmp_path / "x.npy", np.zeros((3, 7), int))
    with pytest.raises(InputError, match=r"one array without a name; the network takes input.ids, input.mask: use .npz"):
        open_arrays(tmp_path / "x.npy", WORDS)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_broken_files_are_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    with pytest.raises(InputError, match="be read"):
        open_arrays(path, PICTURE)
    if suffix == ".npy":
        np.save(path, VALUES)
    elif suffix == ".npz":
        np.savez(path, input=VALUES)
    else:
        save_file({"input": torch.from_numpy(VALUES)}, path)
    whole = path.read_bytes()
    for data in (b"", b"nonsense" * 9, whole[: len(whole) // 2], whole[:20], b"\x93NUMPY\xff" + whole[7:]):
        path.write_bytes(data)
        with pytest.raises(InputError) as refused:
            open_arrays(path, PICTURE)
        assert "\n" not in str(refused.value)


def test_a_header_may_promise_more_than_there_is(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VALUES)
    data = (tmp_path / "x.npy").read_bytes().replace(b"(6, 3", b"(9000000000, 3")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("input.npy", data)
    with pytest.raises(InputError, match="can be read"):
        open_arrays(tmp_path / "x.npz", PICTURE)
